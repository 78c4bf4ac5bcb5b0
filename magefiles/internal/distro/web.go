package distro

import "archive/tar"

// Containers have no network, so that rows can run side by side with SPIRE's
// ports in use, and what fetches something from elsewhere fails. What they are
// to reach comes as a Unix socket in a folder, which systemd's own proxy serves
// on their loopback.
const (
	// WebSocket is the socket's name in Host.Web.
	WebSocket = "http"
	// WebURL is where it answers inside.
	WebURL = "http://" + webAddress

	webAddress = "127.0.0.1:8000"
	webInside  = inside + "/web"
)

// packWeb adds the proxy's units.
func packWeb(archive *tar.Writer) error {
	const units = "etc/systemd/system/"
	socket := "[Socket]\nListenStream=" + webAddress + "\n"
	if err := packText(archive, units+"test-web.socket", socket); err != nil {
		return err
	}
	proxy := "[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd /" + webInside + "/" + WebSocket + "\n"
	if err := packText(archive, units+"test-web.service", proxy); err != nil {
		return err
	}
	return packLink(archive, units+"sockets.target.wants/test-web.socket", "../test-web.socket")
}
