package hcloud_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

func TestSSHKey(t *testing.T) {
	ctx := context.Background()
	public := newPublicKey(t)
	key, _, err := client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{
		Name: "deploy", PublicKey: public, Labels: map[string]string{"use": "deploy"},
	})
	ok(t, err)

	_, _, err = client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "deploy", PublicKey: newPublicKey(t)})
	refused(t, err, hcloud.ErrorCodeUniquenessError)
	_, _, err = client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "again", PublicKey: public})
	refused(t, err, hcloud.ErrorCodeUniquenessError)
	_, _, err = client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "none", PublicKey: "ssh-ed25519 AAAA"})
	refused(t, err, hcloud.ErrorCodeInvalidInput)

	byFingerprint, _, err := client.SSHKey.GetByFingerprint(ctx, key.Fingerprint)
	ok(t, err)
	equal(t, "key by fingerprint", byFingerprint.ID, key.ID)
	changed, _, err := client.SSHKey.Update(ctx, key, hcloud.SSHKeyUpdateOpts{Name: "deploy-2"})
	ok(t, err)
	equal(t, "name", changed.Name, "deploy-2")
	equal(t, "labels stay", changed.Labels["use"], "deploy")

	_, err = client.SSHKey.Delete(ctx, key)
	ok(t, err)
	gone, _, err := client.SSHKey.GetByID(ctx, key.ID)
	ok(t, err)
	if gone != nil {
		t.Fatal("the key is still there")
	}
}

func TestNetwork(t *testing.T) {
	ctx := context.Background()
	network, _, err := client.Network.Create(ctx, hcloud.NetworkCreateOpts{Name: "lessons", IPRange: cidr(t, "10.10.0.0/16")})
	ok(t, err)
	subnet := func(text string) (*hcloud.Action, error) {
		action, _, err := client.Network.AddSubnet(ctx, network, hcloud.NetworkAddSubnetOpts{
			Subnet: hcloud.NetworkSubnet{
				Type: hcloud.NetworkSubnetTypeCloud, IPRange: cidr(t, text), NetworkZone: hcloud.NetworkZoneEUCentral,
			},
		})
		return action, err
	}
	action, err := subnet("10.10.0.0/20")
	ok(t, err)
	done(t, action)
	_, err = subnet("10.10.1.0/24")
	refused(t, err, hcloud.ErrorCodeInvalidInput)
	_, err = subnet("10.20.0.0/24")
	refused(t, err, hcloud.ErrorCodeInvalidInput)

	network, _, err = client.Network.GetByName(ctx, "lessons")
	ok(t, err)
	equal(t, "subnets", len(network.Subnets), 1)
	equal(t, "gateway", network.Subnets[0].Gateway.String(), "10.10.0.1")

	server := newServer(t, hcloud.ServerCreateOpts{Name: "in-network"})
	attach := func(ip string) (*hcloud.Action, error) {
		action, _, err := client.Server.AttachToNetwork(ctx, server, hcloud.ServerAttachToNetworkOpts{
			Network: network, IP: net.ParseIP(ip),
		})
		return action, err
	}
	_, err = attach("10.10.0.1")
	refused(t, err, hcloud.ErrorCodeIPNotAvailable)
	_, err = attach("10.10.200.1")
	refused(t, err, hcloud.ErrorCodeNoSubnetAvailable)
	action, err = attach("10.10.1.1")
	ok(t, err)
	done(t, action)
	_, err = attach("10.10.1.2")
	refused(t, err, hcloud.ErrorCodeServerAlreadyAttached)
	server = getServer(t, server.ID)
	equal(t, "private address", server.PrivateNet[0].IP.String(), "10.10.1.1")
	if server.PrivateNet[0].MACAddress == "" {
		t.Fatal("no MAC address")
	}

	aliases, _, err := client.Server.ChangeAliasIPs(ctx, server, hcloud.ServerChangeAliasIPsOpts{
		Network: network, AliasIPs: []net.IP{net.ParseIP("10.10.1.9")},
	})
	ok(t, err)
	done(t, aliases)
	equal(t, "alias", getServer(t, server.ID).PrivateNet[0].Aliases[0].String(), "10.10.1.9")

	other := newServer(t, hcloud.ServerCreateOpts{Name: "same-address", Networks: []*hcloud.Network{network}})
	equal(t, "first free address", other.PrivateNet[0].IP.String(), "10.10.0.2")

	_, err = client.Network.Delete(ctx, network)
	refused(t, err, hcloud.ErrorCodeResourceInUse)
	_, _, err = client.Network.DeleteSubnet(ctx, network, hcloud.NetworkDeleteSubnetOpts{Subnet: network.Subnets[0]})
	refused(t, err, hcloud.ErrorCodeResourceInUse)
	action, _, err = client.Server.DetachFromNetwork(ctx, server, hcloud.ServerDetachFromNetworkOpts{Network: network})
	ok(t, err)
	done(t, action)
	equal(t, "private networks", len(getServer(t, server.ID).PrivateNet), 0)
	deleteServer(t, other.ID)

	action, _, err = client.Network.DeleteSubnet(ctx, network, hcloud.NetworkDeleteSubnetOpts{Subnet: network.Subnets[0]})
	ok(t, err)
	done(t, action)
	action, _, err = client.Network.ChangeProtection(ctx, network, hcloud.NetworkChangeProtectionOpts{Delete: hcloud.Ptr(true)})
	ok(t, err)
	done(t, action)
	_, err = client.Network.Delete(ctx, network)
	refused(t, err, hcloud.ErrorCodeProtected)
	action, _, err = client.Network.ChangeProtection(ctx, network, hcloud.NetworkChangeProtectionOpts{Delete: hcloud.Ptr(false)})
	ok(t, err)
	done(t, action)
	renamed, _, err := client.Network.Update(ctx, network, hcloud.NetworkUpdateOpts{Name: "lessons-2"})
	ok(t, err)
	equal(t, "name", renamed.Name, "lessons-2")
	_, err = client.Network.Delete(ctx, network)
	ok(t, err)
}

func TestPlacementGroup(t *testing.T) {
	ctx := context.Background()
	created, _, err := client.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{
		Name: "recorders-1", Type: hcloud.PlacementGroupTypeSpread,
	})
	ok(t, err)
	group := created.PlacementGroup
	t.Cleanup(func() { _, _ = client.PlacementGroup.Delete(ctx, group) })
	order := func(name string) (hcloud.ServerCreateResult, error) {
		result, _, err := client.Server.Create(ctx, hcloud.ServerCreateOpts{
			Name: name, PlacementGroup: group,
			ServerType: &hcloud.ServerType{Name: "cx23"}, Image: &hcloud.Image{Name: "debian-13"},
		})
		return result, err
	}
	var actions []*hcloud.Action
	for i := range 10 {
		result, err := order("spread-" + string(rune('a'+i)))
		ok(t, err)
		t.Cleanup(func() { deleteServer(t, result.Server.ID) })
		actions = append(actions, append(result.NextActions, result.Action)...)
	}
	done(t, actions...)
	_, err = order("spread-k")
	refused(t, err, hcloud.ErrorCodePlacementError)
	_, err = client.PlacementGroup.Delete(ctx, group)
	refused(t, err, hcloud.ErrorCodeResourceInUse)

	group, _, err = client.PlacementGroup.GetByName(ctx, "recorders-1")
	ok(t, err)
	equal(t, "members", len(group.Servers), 10)
	one := getServer(t, group.Servers[0])
	equal(t, "group of a member", one.PlacementGroup.ID, group.ID)
	action, _, err := client.Server.RemoveFromPlacementGroup(ctx, one)
	ok(t, err)
	done(t, action)
	_, _, err = client.Server.AddToPlacementGroup(ctx, one, group)
	refused(t, err, hcloud.ErrorCodeServerNotStopped)
}

func TestPrimaryIP(t *testing.T) {
	ctx := context.Background()
	create := func(name string, family hcloud.PrimaryIPType) *hcloud.PrimaryIP {
		result, _, err := client.PrimaryIP.Create(ctx, hcloud.PrimaryIPCreateOpts{
			Name: name, Type: family, Location: "nbg1", AssigneeType: "server", AutoDelete: hcloud.Ptr(false),
		})
		ok(t, err)
		t.Cleanup(func() { _, _ = client.PrimaryIP.Delete(ctx, result.PrimaryIP) })
		return result.PrimaryIP
	}
	ipv4, ipv6 := create("jitsi-1-ipv4", hcloud.PrimaryIPTypeIPv4), create("jitsi-1-ipv6", hcloud.PrimaryIPTypeIPv6)
	if !cidr(t, "198.18.0.0/15").Contains(ipv4.IP) {
		t.Fatalf("%s is not an address for benchmarks", ipv4.IP)
	}
	if ones, _ := ipv6.Network.Mask.Size(); ones != 64 || !cidr(t, "2001:db8::/32").Contains(ipv6.IP) {
		t.Fatalf("%s is not a /64 for documentation", ipv6.Network)
	}

	server := newServer(t, hcloud.ServerCreateOpts{Name: "with-own-ips", PublicNet: &hcloud.ServerCreatePublicNet{
		EnableIPv4: true, EnableIPv6: true, IPv4: ipv4, IPv6: ipv6,
	}})
	equal(t, "IPv4", server.PublicNet.IPv4.IP.String(), ipv4.IP.String())
	equal(t, "IPv6", server.PublicNet.IPv6.ID, ipv6.ID)

	_, _, err := client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name: "same-ip", ServerType: &hcloud.ServerType{Name: "cx33"}, Image: &hcloud.Image{Name: "debian-13"},
		Location: &hcloud.Location{Name: "nbg1"}, PublicNet: &hcloud.ServerCreatePublicNet{EnableIPv4: true, IPv4: ipv4},
	})
	refused(t, err, hcloud.ErrorCodePrimaryIPAssigned)
	_, err = client.PrimaryIP.Delete(ctx, ipv4)
	refused(t, err, "must_be_unassigned")
	_, _, err = client.PrimaryIP.Unassign(ctx, ipv4.ID)
	refused(t, err, hcloud.ErrorCodeServerNotStopped)

	action, _, err := client.PrimaryIP.ChangeDNSPtr(ctx, hcloud.PrimaryIPChangeDNSPtrOpts{
		ID: ipv4.ID, IP: ipv4.IP.String(), DNSPtr: "meet.example.org",
	})
	ok(t, err)
	done(t, action)
	equal(t, "reverse DNS", getServer(t, server.ID).PublicNet.IPv4.DNSPtr, "meet.example.org")

	protect := func(on bool) {
		action, _, err := client.PrimaryIP.ChangeProtection(ctx, hcloud.PrimaryIPChangeProtectionOpts{ID: ipv4.ID, Delete: on})
		ok(t, err)
		done(t, action)
	}
	deleteServer(t, server.ID)
	kept, _, err := client.PrimaryIP.GetByIP(ctx, ipv4.IP.String())
	ok(t, err)
	equal(t, "assignee after the server went", kept.AssigneeID, 0)
	protect(true)
	_, err = client.PrimaryIP.Delete(ctx, ipv4)
	refused(t, err, hcloud.ErrorCodeProtected)
	protect(false)
	_, err = client.PrimaryIP.Delete(ctx, ipv4)
	ok(t, err)
}

func TestPrimaryIPOfServerGoesWithIt(t *testing.T) {
	ctx := context.Background()
	server := newServer(t, hcloud.ServerCreateOpts{Name: "own-address"})
	id := server.PublicNet.IPv4.ID
	deleteServer(t, server.ID)
	gone, _, err := client.PrimaryIP.GetByID(ctx, id)
	ok(t, err)
	if gone != nil {
		t.Fatal("the address outlived its server")
	}
}

func TestFirewall(t *testing.T) {
	ctx := context.Background()
	rule := func(port string) hcloud.FirewallRule {
		return hcloud.FirewallRule{
			Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolTCP,
			Port: hcloud.Ptr(port), SourceIPs: []net.IPNet{*cidr(t, "0.0.0.0/0"), *cidr(t, "::/0")},
		}
	}
	created, _, err := client.Firewall.Create(ctx, hcloud.FirewallCreateOpts{
		Name: "jitsi", Rules: []hcloud.FirewallRule{rule("443"), rule("1024-5000")},
	})
	ok(t, err)
	firewall := created.Firewall
	equal(t, "rules", len(firewall.Rules), 2)

	server := newServer(t, hcloud.ServerCreateOpts{
		Name: "behind-firewall", Firewalls: []*hcloud.ServerCreateFirewall{{Firewall: *firewall}},
		Labels: map[string]string{"role": "jitsi"},
	})
	equal(t, "firewall of the server", server.PublicNet.Firewalls[0].Firewall.ID, firewall.ID)
	_, err = client.Firewall.Delete(ctx, firewall)
	refused(t, err, hcloud.ErrorCodeResourceInUse)

	actions, _, err := client.Firewall.SetRules(ctx, firewall, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{rule("80")}})
	ok(t, err)
	done(t, actions...)
	firewall, _, err = client.Firewall.GetByID(ctx, firewall.ID)
	ok(t, err)
	equal(t, "port", *firewall.Rules[0].Port, "80")
	equal(t, "applied to", firewall.AppliedTo[0].Server.ID, server.ID)
	portless := rule("80")
	portless.Port = nil
	_, _, err = client.Firewall.SetRules(ctx, firewall, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{portless}})
	refused(t, err, hcloud.ErrorCodeInvalidInput)

	byServer := []hcloud.FirewallResource{{
		Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: server.ID},
	}}
	byLabel := []hcloud.FirewallResource{{
		Type: hcloud.FirewallResourceTypeLabelSelector, LabelSelector: &hcloud.FirewallResourceLabelSelector{Selector: "role=jitsi"},
	}}
	_, _, err = client.Firewall.ApplyResources(ctx, firewall, byServer)
	refused(t, err, hcloud.ErrorCodeFirewallAlreadyApplied)
	actions, _, err = client.Firewall.RemoveResources(ctx, firewall, byServer)
	ok(t, err)
	done(t, actions...)
	equal(t, "firewalls of the server", len(getServer(t, server.ID).PublicNet.Firewalls), 0)
	actions, _, err = client.Firewall.ApplyResources(ctx, firewall, byLabel)
	ok(t, err)
	done(t, actions...)
	equal(t, "firewall by label", getServer(t, server.ID).PublicNet.Firewalls[0].Firewall.ID, firewall.ID)
	_, _, err = client.Firewall.RemoveResources(ctx, firewall, byServer)
	refused(t, err, hcloud.ErrorCodeFirewallManagedByLabelSelector)
	actions, _, err = client.Firewall.RemoveResources(ctx, firewall, byLabel)
	ok(t, err)
	done(t, actions...)
	_, err = client.Firewall.Delete(ctx, firewall)
	ok(t, err)
}

func TestVolume(t *testing.T) {
	ctx := context.Background()
	created, _, err := client.Volume.Create(ctx, hcloud.VolumeCreateOpts{
		Name: "recordings", Size: 10, Location: &hcloud.Location{Name: "nbg1"}, Format: hcloud.Ptr("ext4"),
	})
	ok(t, err)
	done(t, created.Action)
	volume := created.Volume
	server := newServer(t, hcloud.ServerCreateOpts{Name: "with-volume"})
	action, _, err := client.Volume.Attach(ctx, volume, server)
	ok(t, err)
	done(t, action)
	if got := ids(getServer(t, server.ID).Volumes, func(v *hcloud.Volume) int64 { return v.ID }); !slices.Equal(got, []int64{volume.ID}) {
		t.Fatalf("volumes of the server: %v", got)
	}
	_, err = client.Volume.Delete(ctx, volume)
	refused(t, err, hcloud.ErrorCodeResourceInUse)
	_, _, err = client.Volume.Attach(ctx, volume, server)
	refused(t, err, hcloud.ErrorCodeVolumeAlreadyAttached)
	action, _, err = client.Volume.Resize(ctx, volume, 20)
	ok(t, err)
	done(t, action)
	_, _, err = client.Volume.Resize(ctx, volume, 15)
	refused(t, err, hcloud.ErrorCodeInvalidInput)

	deleteServer(t, server.ID)
	volume, _, err = client.Volume.GetByName(ctx, "recordings")
	ok(t, err)
	equal(t, "size", volume.Size, 20)
	if volume.Server != nil {
		t.Fatal("the volume is still attached")
	}
	_, err = client.Volume.Delete(ctx, volume)
	ok(t, err)
}
