package payload

// peerUnits are a shell for each connection, as root: for the one container that a peer
// shares its network with, whose script says what it shall do (tests/scenarios/lib/peer.sh).
func peerUnits() []unit {
	return []unit{
		{"test-peer.socket", "[Socket]\nListenStream=2222\nAccept=yes\n"},
		{"test-peer@.service", "[Service]\nExecStart=/bin/sh\nStandardInput=socket\nStandardError=socket\n"},
		{"sockets.target.d/test-peer.conf", "[Unit]\nWants=test-peer.socket\n"},
	}
}
