// Agent is the agent's half of the node attestor sesame, which knows whoever has the word.
package main

import (
	"github.com/hashicorp/go-hclog"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/nodeattestor/v1"
)

var version = "dev"

type attestor struct {
	nodeattestorv1.UnimplementedNodeAttestorServer
	logger hclog.Logger
}

// SetLogger takes the log of the agent.
func (a *attestor) SetLogger(logger hclog.Logger) { a.logger = logger }

// AidAttestation says the word.
func (a *attestor) AidAttestation(stream nodeattestorv1.NodeAttestor_AidAttestationServer) error {
	a.logger.Info("sesame " + version + " says the word")
	return stream.Send(&nodeattestorv1.PayloadOrChallengeResponse{
		Data: &nodeattestorv1.PayloadOrChallengeResponse_Payload{Payload: []byte("open sesame")},
	})
}

func main() { pluginmain.Serve(nodeattestorv1.NodeAttestorPluginServer(new(attestor))) }
