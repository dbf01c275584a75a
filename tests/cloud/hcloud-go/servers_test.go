package hcloud_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

func TestServerLife(t *testing.T) {
	ctx := context.Background()
	key, _, err := client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "life", PublicKey: newPublicKey(t)})
	ok(t, err)
	t.Cleanup(func() { _, _ = client.SSHKey.Delete(ctx, key) })

	result, _, err := client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name:       "jitsi-1",
		ServerType: &hcloud.ServerType{Name: "ccx13"},
		Image:      &hcloud.Image{Name: "debian-13"},
		Location:   &hcloud.Location{Name: "nbg1"},
		SSHKeys:    []*hcloud.SSHKey{key},
		UserData:   "#cloud-config\n",
		Labels:     map[string]string{"role": "jitsi", "shard": "1"},
	})
	ok(t, err)
	t.Cleanup(func() { deleteServer(t, result.Server.ID) })
	equal(t, "status at first", result.Server.Status, hcloud.ServerStatusInitializing)
	equal(t, "root password with a key", result.RootPassword, "")
	equal(t, "command", result.Action.Command, "create_server")
	equal(t, "next action", result.NextActions[0].Command, "start_server")
	done(t, append(result.NextActions, result.Action)...)

	server, _, err := client.Server.GetByName(ctx, "jitsi-1")
	ok(t, err)
	equal(t, "status", server.Status, hcloud.ServerStatusRunning)
	equal(t, "locked", server.Locked, false)
	equal(t, "location", server.Location.Name, "nbg1")
	equal(t, "image", server.Image.Name, "debian-13")
	equal(t, "disk", server.PrimaryDiskSize, 80)
	equal(t, "server type", server.ServerType.Name, "ccx13")
	if server.PublicNet.IPv4.IP == nil || server.PublicNet.IPv6.Network == nil || server.Created.IsZero() {
		t.Fatalf("addresses or date missing: %+v", server.PublicNet)
	}

	_, _, err = client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name: "jitsi-1", ServerType: &hcloud.ServerType{Name: "cx33"}, Image: &hcloud.Image{Name: "debian-13"},
	})
	refused(t, err, hcloud.ErrorCodeUniquenessError)

	server, _, err = client.Server.Update(ctx, server, hcloud.ServerUpdateOpts{Labels: map[string]string{"role": "jitsi"}})
	ok(t, err)
	equal(t, "labels", len(server.Labels), 1)

	t.Run("power", func(t *testing.T) {
		steps := []struct {
			do     func(context.Context, *hcloud.Server) (*hcloud.Action, *hcloud.Response, error)
			status hcloud.ServerStatus
		}{
			{client.Server.Reboot, hcloud.ServerStatusRunning},
			{client.Server.Shutdown, hcloud.ServerStatusOff},
			{client.Server.Poweron, hcloud.ServerStatusRunning},
			{client.Server.Reset, hcloud.ServerStatusRunning},
			{client.Server.Poweroff, hcloud.ServerStatusOff},
			{client.Server.Poweron, hcloud.ServerStatusRunning},
		}
		for i, step := range steps {
			action, _, err := step.do(ctx, server)
			ok(t, err)
			done(t, action)
			if got := getServer(t, server.ID).Status; got != step.status {
				t.Fatalf("after step %d (%s) it is %s", i, action.Command, got)
			}
		}
	})

	t.Run("change of type", func(t *testing.T) {
		change := func(name string) (*hcloud.Action, error) {
			action, _, err := client.Server.ChangeType(ctx, server, hcloud.ServerChangeTypeOpts{
				ServerType: &hcloud.ServerType{Name: name}, UpgradeDisk: false,
			})
			return action, err
		}
		_, err := change("ccx23")
		refused(t, err, hcloud.ErrorCodeServerNotStopped)
		action, _, err := client.Server.Poweroff(ctx, server)
		ok(t, err)
		done(t, action)
		for _, unfit := range []string{"ccx13", "cax21", "cpx11", "cx23"} {
			_, err = change(unfit)
			refused(t, err, hcloud.ErrorCodeInvalidServerType)
		}
		action, err = change("ccx23")
		ok(t, err)
		done(t, action)
		changed := getServer(t, server.ID)
		equal(t, "type", changed.ServerType.Name, "ccx23")
		equal(t, "kept disk", changed.PrimaryDiskSize, 80)
		equal(t, "stays off", changed.Status, hcloud.ServerStatusOff)
		action, _, err = client.Server.Poweron(ctx, server)
		ok(t, err)
		done(t, action)
	})

	t.Run("rebuild and protection", func(t *testing.T) {
		before := getServer(t, server.ID)
		rebuild := func() (*hcloud.Action, error) {
			result, _, err := client.Server.RebuildWithResult(ctx, server, hcloud.ServerRebuildOpts{
				Image: &hcloud.Image{Name: "debian-12"}, UserData: hcloud.Ptr("#cloud-config\n# new\n"),
			})
			return result.Action, err
		}
		protect := func(on bool) {
			action, _, err := client.Server.ChangeProtection(ctx, server, hcloud.ServerChangeProtectionOpts{
				Delete: hcloud.Ptr(on), Rebuild: hcloud.Ptr(on),
			})
			ok(t, err)
			done(t, action)
		}
		_, _, err := client.Server.ChangeProtection(ctx, server, hcloud.ServerChangeProtectionOpts{Delete: hcloud.Ptr(true)})
		refused(t, err, hcloud.ErrorCodeInvalidInput)
		protect(true)
		_, err = rebuild()
		refused(t, err, hcloud.ErrorCodeProtected)
		_, _, err = client.Server.DeleteWithResult(ctx, server)
		refused(t, err, hcloud.ErrorCodeProtected)
		protect(false)
		action, err := rebuild()
		ok(t, err)
		done(t, action)
		after := getServer(t, server.ID)
		equal(t, "image", after.Image.Name, "debian-12")
		equal(t, "address", after.PublicNet.IPv4.IP.String(), before.PublicNet.IPv4.IP.String())
		equal(t, "status", after.Status, hcloud.ServerStatusRunning)
	})

	t.Run("backups", func(t *testing.T) {
		action, _, err := client.Server.EnableBackup(ctx, server, "")
		ok(t, err)
		done(t, action)
		equal(t, "window", getServer(t, server.ID).BackupWindow, "22-02")
		action, _, err = client.Server.DisableBackup(ctx, server)
		ok(t, err)
		done(t, action)
		equal(t, "window", getServer(t, server.ID).BackupWindow, "")
	})

	deleteServer(t, server.ID)
	gone, _, err := client.Server.GetByID(ctx, server.ID)
	ok(t, err)
	if gone != nil {
		t.Fatal("the server is still there")
	}
}

func TestServerUserDataLimit(t *testing.T) {
	_, _, err := client.Server.Create(context.Background(), hcloud.ServerCreateOpts{
		Name: "too-much", ServerType: &hcloud.ServerType{Name: "cx33"}, Image: &hcloud.Image{Name: "debian-13"},
		UserData: strings.Repeat("x", 32*1024+1),
	})
	refused(t, err, hcloud.ErrorCodeInvalidInput)
	var problem hcloud.Error
	if !errors.As(err, &problem) {
		t.Fatal("not an error of the API")
	}
	details, fits := problem.Details.(hcloud.ErrorDetailsInvalidInput)
	if !fits || details.Fields[0].Name != "user_data" {
		t.Fatalf("details do not name the field: %+v", problem.Details)
	}
}

func TestServerWithoutPublicAddress(t *testing.T) {
	ctx := context.Background()
	order := hcloud.ServerCreateOpts{
		Name: "private", ServerType: &hcloud.ServerType{Name: "cx33"}, Image: &hcloud.Image{Name: "debian-13"},
		Location: &hcloud.Location{Name: "nbg1"}, PublicNet: &hcloud.ServerCreatePublicNet{},
	}
	_, _, err := client.Server.Create(ctx, order)
	refused(t, err, hcloud.ErrorCodeInvalidInput)
	order.StartAfterCreate = hcloud.Ptr(false)
	server := newServer(t, order)
	equal(t, "status", server.Status, hcloud.ServerStatusOff)
	if !server.PublicNet.IPv4.IsUnspecified() || !server.PublicNet.IPv6.IsUnspecified() {
		t.Fatalf("it has a public address: %+v", server.PublicNet)
	}
}

func TestServerLists(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"list-a", "list-b", "list-c"} {
		newServer(t, hcloud.ServerCreateOpts{Name: name, Labels: map[string]string{"list": "yes", "name": name}})
	}
	names := func(selector string) string {
		servers, err := client.Server.AllWithOpts(ctx, hcloud.ServerListOpts{
			ListOpts: hcloud.ListOpts{LabelSelector: selector, PerPage: 2}, Sort: []string{"name:desc"},
		})
		ok(t, err)
		var all []string
		for _, server := range servers {
			all = append(all, server.Name)
		}
		return strings.Join(all, " ")
	}
	equal(t, "all, over two pages", names("list"), "list-c list-b list-a")
	equal(t, "in", names("list=yes,name in (list-a,list-c)"), "list-c list-a")
	equal(t, "notin", names("list==yes,name notin (list-a)"), "list-c list-b")
	equal(t, "unequal", names("list,name!=list-b"), "list-c list-a")
	equal(t, "absent", names("!list,name"), "")
	_, err := client.Server.AllWithOpts(ctx, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "a b"}})
	refused(t, err, hcloud.ErrorCodeInvalidInput)

	off, err := client.Server.AllWithOpts(ctx, hcloud.ServerListOpts{
		ListOpts: hcloud.ListOpts{LabelSelector: "list"}, Status: []hcloud.ServerStatus{hcloud.ServerStatusOff},
	})
	ok(t, err)
	equal(t, "servers that are off", len(off), 0)
}
