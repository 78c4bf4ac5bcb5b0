package payload

// Containers have no network, so that rows can run side by side with SPIRE's
// ports in use, and what fetches something from elsewhere fails. What they are
// to reach comes as a Unix socket in a folder, which systemd's own proxy serves
// on their loopback.
const (
	// WebSocket is the socket's name in its folder.
	WebSocket = "http"
	// WebURL is where it answers inside.
	WebURL = "http://" + webAddress

	webAddress = "127.0.0.1:8000"
	webInside  = inside + "/web"
)

// WebVolume shows a container the folder with the socket.
func WebVolume(folder string) string { return folder + ":/" + webInside }

// webUnits are the proxy's. Its socket is for all who want sockets.
func webUnits() []unit {
	return []unit{
		{"test-web.socket", "[Socket]\nListenStream=" + webAddress + "\n"},
		{"test-web.service", "[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd /" + webInside + "/" + WebSocket + "\n"},
		{"sockets.target.d/test-web.conf", "[Unit]\nWants=test-web.socket\n"},
	}
}
