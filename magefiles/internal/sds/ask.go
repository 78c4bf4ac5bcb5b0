package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/encoding/protowire"
)

// The service, by envoy/service/secret/v3/sds.proto.
const (
	method     = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
	secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// largest is the largest answer: a bundle has some certificates.
const largest = 1 << 20

// ask opens a stream for each secret, as Envoy does, and takes what comes first.
func ask(ctx context.Context, w wants) (map[string]secret, error) {
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", w.socket)
	}}
	defer transport.CloseIdleConnections()
	secrets := map[string]secret{}
	for _, name := range []string{w.certificate, w.validation} {
		answer, err := subscribe(ctx, transport, discovery(w, name))
		if err == nil {
			secrets[name], err = answer.only(name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return secrets, nil
}

// subscribe gives the first answer of a stream.
func subscribe(ctx context.Context, transport *http2.Transport, message []byte) (answer, error) {
	body, requests := io.Pipe()
	defer func() { _ = requests.Close() }()     // ends the stream
	go func() { _ = send(requests, message) }() // what goes wrong is in the answer
	response, err := transport.RoundTrip((&http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: "http", Host: "localhost", Path: method}, Body: body,
		Header: http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}},
	}).WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	return receive(response)
}

// discovery is a DiscoveryRequest of Envoy 1.30 for a secret.
func discovery(w wants, name string) []byte {
	semantic := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	semantic = protowire.AppendVarint(protowire.AppendTag(semantic, 2, protowire.VarintType), 30)
	node := field(nil, 1, []byte(w.node))
	node = field(node, 2, []byte(w.cluster))
	node = field(node, 6, []byte("envoy"))
	node = field(node, 8, field(nil, 1, semantic))
	request := field(nil, 2, node)
	request = field(request, 3, []byte(name))
	return field(request, 4, []byte(secretType))
}

// field adds a field of bytes to a message.
func field(message []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), content)
}

// send writes a message as gRPC frames it.
func send(w io.Writer, message []byte) error {
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	_, err := w.Write(append(frame, message...))
	return err
}

// receive reads one message. A stream that ends before has its reason in the
// trailers.
func receive(response *http.Response) (answer, error) {
	var head [5]byte
	if _, err := io.ReadFull(response.Body, head[:]); err != nil {
		for _, fields := range []http.Header{response.Trailer, response.Header} {
			if status := fields.Get("Grpc-Status"); status != "" {
				return answer{}, fmt.Errorf("gRPC status %s: %s", status, fields.Get("Grpc-Message"))
			}
		}
		return answer{}, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 0 || size > largest {
		return answer{}, errors.New("the answer is compressed or too large")
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(response.Body, message); err != nil {
		return answer{}, err
	}
	return parseAnswer(message)
}
