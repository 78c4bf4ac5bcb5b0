// Package serverapi asks a running SPIRE server by its private socket, as the commands
// of spire-server do.
package serverapi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	agentv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	debugv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/debug/v1"
	entryv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/spiffe-experimental/spire-config/internal/registration"
)

// ErrAbsent is where nobody listens at a socket.
var ErrAbsent = errors.New("nothing answers there: the service does not run")

// A Server is a connection to a server's private socket.
type Server struct{ conn *grpc.ClientConn }

// Dial connects to the server's socket, and says in words why it cannot.
func Dial(socket string) (*Server, error) {
	server, err := dial(socket)
	if errors.Is(err, ErrAbsent) {
		return nil, fmt.Errorf("spire-server does not run on this machine: systemctl start spire-server (%w)", err)
	}
	return server, err
}

func dial(socket string) (*Server, error) {
	if err := reachable(socket); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", socket, err)
	}
	return &Server{conn}, nil
}

func reachable(socket string) error {
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	switch {
	case err == nil:
		return conn.Close()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: %w", socket, ErrAbsent)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is closed to this user: become root, or for the server a member of the group spire-server", socket)
	}
	return fmt.Errorf("connecting to %s: %w", socket, err)
}

// Close ends the connection.
func (s *Server) Close() error { return s.conn.Close() }

// Healthy asks a server's or an agent's socket whether it serves.
func Healthy(ctx context.Context, socket string) error {
	server, err := dial(socket)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	answer, err := healthv1.NewHealthClient(server.conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.Status != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}

// Bundle returns the trust domain and its root certificates.
func (s *Server) Bundle(ctx context.Context) (spiffeid.TrustDomain, []*x509.Certificate, error) {
	bundle, err := bundlev1.NewBundleClient(s.conn).GetBundle(ctx, &bundlev1.GetBundleRequest{})
	if err != nil {
		return spiffeid.TrustDomain{}, nil, fmt.Errorf("asking the server for its trust bundle: %w", err)
	}
	td, err := spiffeid.TrustDomainFromString(bundle.TrustDomain)
	if err != nil {
		return td, nil, err
	}
	var roots []*x509.Certificate
	for _, authority := range bundle.X509Authorities {
		root, err := x509.ParseCertificates(authority.Asn1)
		if err != nil {
			return td, nil, fmt.Errorf("reading the trust bundle: %w", err)
		}
		roots = append(roots, root...)
	}
	return td, roots, nil
}

// JoinToken makes a token that works once, and an entry that gives the agent that uses
// it the alias.
func (s *Server) JoinToken(ctx context.Context, alias spiffeid.ID, ttl time.Duration) (string, time.Time, error) {
	token, err := agentv1.NewAgentClient(s.conn).CreateJoinToken(ctx, &agentv1.CreateJoinTokenRequest{
		Ttl:     int32(ttl / time.Second),
		AgentId: wire(alias),
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("asking the server for a join token: %w", err)
	}
	return token.Value, time.Unix(token.ExpiresAt, 0), nil
}

func wire(id spiffeid.ID) *types.SPIFFEID {
	return &types.SPIFFEID{TrustDomain: id.TrustDomain().Name(), Path: id.Path()}
}

// ID writes a SPIFFE ID of the server's as text.
func ID(id *types.SPIFFEID) string {
	if id == nil {
		return ""
	}
	return "spiffe://" + id.TrustDomain + id.Path
}

// Entries returns all registration entries.
func (s *Server) Entries(ctx context.Context) ([]registration.Entry, error) {
	var all []registration.Entry
	client, page := entryv1.NewEntryClient(s.conn), ""
	for {
		answer, err := client.ListEntries(ctx, &entryv1.ListEntriesRequest{PageToken: page, PageSize: 500})
		if err != nil {
			return nil, fmt.Errorf("asking the server for its entries: %w", err)
		}
		for _, entry := range answer.Entries {
			all = append(all, read(entry))
		}
		if page = answer.NextPageToken; page == "" {
			return all, nil
		}
	}
}

func read(entry *types.Entry) registration.Entry {
	return registration.Entry{
		ID:        entry.Id,
		SPIFFEID:  ID(entry.SpiffeId),
		ParentID:  ID(entry.ParentId),
		Selectors: selectors(entry.Selectors),
		DNSNames:  entry.DnsNames,
		TTL:       time.Duration(entry.X509SvidTtl) * time.Second,
	}
}

func selectors(all []*types.Selector) []registration.Selector {
	var read []registration.Selector
	for _, one := range all {
		read = append(read, registration.Selector{Type: one.Type, Value: one.Value})
	}
	return read
}

// AddEntry makes an entry, and says whether there was one before with the same SPIFFE
// ID, parent and selectors.
func (s *Server) AddEntry(ctx context.Context, entry registration.Entry) (registration.Entry, bool, error) {
	request, err := wireEntry(entry)
	if err != nil {
		return registration.Entry{}, false, err
	}
	answer, err := entryv1.NewEntryClient(s.conn).BatchCreateEntry(ctx, &entryv1.BatchCreateEntryRequest{Entries: []*types.Entry{request}})
	if err != nil {
		return registration.Entry{}, false, fmt.Errorf("asking the server for an entry: %w", err)
	}
	result := answer.Results[0]
	switch codes.Code(result.Status.Code) {
	case codes.OK:
		return read(result.Entry), false, nil
	case codes.AlreadyExists:
		return read(result.Entry), true, nil
	}
	return registration.Entry{}, false, fmt.Errorf("the server refuses the entry: %s", result.Status.Message)
}

func wireEntry(e registration.Entry) (*types.Entry, error) {
	id, err := spiffeid.FromString(e.SPIFFEID)
	if err != nil {
		return nil, fmt.Errorf("SPIFFE ID %q: %w", e.SPIFFEID, err)
	}
	parent, err := spiffeid.FromString(e.ParentID)
	if err != nil {
		return nil, fmt.Errorf("parent ID %q: %w", e.ParentID, err)
	}
	entry := &types.Entry{SpiffeId: wire(id), ParentId: wire(parent), DnsNames: e.DNSNames, X509SvidTtl: int32(e.TTL / time.Second)}
	for _, selector := range e.Selectors {
		entry.Selectors = append(entry.Selectors, &types.Selector{Type: selector.Type, Value: selector.Value})
	}
	return entry, nil
}

// Agents returns all agents that the server knows.
func (s *Server) Agents(ctx context.Context) ([]registration.Agent, error) {
	var all []registration.Agent
	client, page := agentv1.NewAgentClient(s.conn), ""
	for {
		answer, err := client.ListAgents(ctx, &agentv1.ListAgentsRequest{PageToken: page, PageSize: 500})
		if err != nil {
			return nil, fmt.Errorf("asking the server for its agents: %w", err)
		}
		for _, agent := range answer.Agents {
			all = append(all, readAgent(agent))
		}
		if page = answer.NextPageToken; page == "" {
			return all, nil
		}
	}
}

func readAgent(agent *types.Agent) registration.Agent {
	return registration.Agent{
		ID:           ID(agent.Id),
		Attestation:  agent.AttestationType,
		Expires:      time.Unix(agent.X509SvidExpiresAt, 0),
		Banned:       agent.Banned,
		CanReattest:  agent.CanReattest,
		SerialNumber: agent.X509SvidSerialNumber,
		Selectors:    selectors(agent.Selectors),
	}
}

// Info is what a server says of itself.
type Info struct {
	Uptime  time.Duration
	Expires time.Time
	Agents  int
	Entries int
}

// Info asks the server about itself.
func (s *Server) Info(ctx context.Context) (Info, error) {
	answer, err := debugv1.NewDebugClient(s.conn).GetInfo(ctx, &debugv1.GetInfoRequest{})
	if err != nil {
		return Info{}, fmt.Errorf("asking the server about itself: %w", err)
	}
	info := Info{Uptime: time.Duration(answer.Uptime) * time.Second, Agents: int(answer.AgentsCount), Entries: int(answer.EntriesCount)}
	if len(answer.SvidChain) > 0 {
		info.Expires = time.Unix(answer.SvidChain[0].ExpiresAt, 0)
	}
	return info, nil
}
