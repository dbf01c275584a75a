// Package hcloud_test drives the local cloud with the official Hetzner client, the one that the real provider uses.
// What the client cannot do is a bug of the local cloud. HCLOUD_ENDPOINT and HCLOUD_TOKEN say where it is.
package hcloud_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

var client *hcloud.Client

func TestMain(m *testing.M) {
	endpoint, token := os.Getenv("HCLOUD_ENDPOINT"), os.Getenv("HCLOUD_TOKEN")
	if endpoint == "" || token == "" {
		fmt.Fprintln(os.Stderr, "HCLOUD_ENDPOINT and HCLOUD_TOKEN are not set: these tests need a running local cloud")
		os.Exit(2)
	}
	client = newClient(endpoint, token)
	os.Exit(m.Run())
}

func newClient(endpoint, token string) *hcloud.Client {
	pause := hcloud.ConstantBackoff(20 * time.Millisecond)
	return hcloud.NewClient(
		hcloud.WithEndpoint(endpoint),
		hcloud.WithToken(token),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: pause}),
		hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: pause, MaxRetries: 3}),
	)
}

// ok ends the test when a call failed.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused ends the test unless a call failed with this code.
func refused(t *testing.T, err error, code hcloud.ErrorCode) {
	t.Helper()
	if !hcloud.IsError(err, code) {
		t.Fatalf("expected %s, got %v", code, err)
	}
}

// done waits for actions, however many a call began.
func done(t *testing.T, actions ...*hcloud.Action) {
	t.Helper()
	ok(t, client.Action.WaitFor(context.Background(), actions...))
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func ids[T any](records []*T, id func(*T) int64) []int64 {
	all := make([]int64, 0, len(records))
	for _, record := range records {
		all = append(all, id(record))
	}
	slices.Sort(all)
	return all
}

func cidr(t *testing.T, text string) *net.IPNet {
	t.Helper()
	_, network, err := net.ParseCIDR(text)
	ok(t, err)
	return network
}

// newPublicKey makes an OpenSSH public key that nobody has.
func newPublicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	var blob []byte
	for _, part := range [][]byte{[]byte("ssh-ed25519"), public} {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(part)))
		blob = append(blob, part...)
	}
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob) + " test"
}

// newServer creates a small server, waits until it runs and deletes it after the test.
func newServer(t *testing.T, opts hcloud.ServerCreateOpts) *hcloud.Server {
	t.Helper()
	ctx := context.Background()
	if opts.ServerType == nil {
		opts.ServerType = &hcloud.ServerType{Name: "cx33"}
	}
	if opts.Image == nil {
		opts.Image = &hcloud.Image{Name: "debian-13"}
	}
	if opts.Location == nil {
		opts.Location = &hcloud.Location{Name: "nbg1"}
	}
	result, _, err := client.Server.Create(ctx, opts)
	ok(t, err)
	t.Cleanup(func() { deleteServer(t, result.Server.ID) })
	done(t, append(result.NextActions, result.Action)...)
	return getServer(t, result.Server.ID)
}

func getServer(t *testing.T, id int64) *hcloud.Server {
	t.Helper()
	server, _, err := client.Server.GetByID(context.Background(), id)
	ok(t, err)
	if server == nil {
		t.Fatalf("server %d is not there", id)
	}
	return server
}

// deleteServer deletes a server that may be gone already.
func deleteServer(t *testing.T, id int64) {
	t.Helper()
	result, _, err := client.Server.DeleteWithResult(context.Background(), &hcloud.Server{ID: id})
	if hcloud.IsError(err, hcloud.ErrorCodeNotFound) {
		return
	}
	ok(t, err)
	done(t, result.Action)
}
