// Server is the server's half of the node attestor sesame, which knows whoever has the word.
package main

import (
	"context"

	"github.com/hashicorp/go-hclog"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var version = "dev"

type attestor struct {
	nodeattestorv1.UnimplementedNodeAttestorServer
	configv1.UnimplementedConfigServer
	logger hclog.Logger
	agent  string
}

// SetLogger takes the log of the server.
func (a *attestor) SetLogger(logger hclog.Logger) { a.logger = logger }

// Configure takes the trust domain, of which the agent will be.
func (a *attestor) Configure(_ context.Context, request *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	a.agent = "spiffe://" + request.GetCoreConfiguration().GetTrustDomain() + "/spire/agent/sesame/cave"
	return &configv1.ConfigureResponse{}, nil
}

// Validate finds nothing wrong: there is nothing to set.
func (a *attestor) Validate(context.Context, *configv1.ValidateRequest) (*configv1.ValidateResponse, error) {
	return &configv1.ValidateResponse{Valid: true}, nil
}

// Attest knows the agent by the word.
func (a *attestor) Attest(stream nodeattestorv1.NodeAttestor_AttestServer) error {
	request, err := stream.Recv()
	if err != nil {
		return err
	}
	if string(request.GetPayload()) != "open sesame" {
		return status.Error(codes.PermissionDenied, "that is not the word")
	}
	a.logger.Info("sesame " + version + " has heard the word")
	return stream.Send(&nodeattestorv1.AttestResponse{Response: &nodeattestorv1.AttestResponse_AgentAttributes{
		AgentAttributes: &nodeattestorv1.AgentAttributes{SpiffeId: a.agent, SelectorValues: []string{"word:open"}, CanReattest: true},
	}})
}

func main() {
	plugin := new(attestor)
	pluginmain.Serve(nodeattestorv1.NodeAttestorPluginServer(plugin), configv1.ConfigServiceServer(plugin))
}
