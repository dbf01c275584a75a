package hcloud_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

func TestCatalogue(t *testing.T) {
	ctx := context.Background()

	locations, err := client.Location.All(ctx)
	ok(t, err)
	equal(t, "locations", len(locations), 6)
	helsinki, _, err := client.Location.GetByName(ctx, "hel1")
	ok(t, err)
	equal(t, "zone of hel1", helsinki.NetworkZone, hcloud.NetworkZoneEUCentral)

	types, err := client.ServerType.All(ctx)
	ok(t, err)
	if len(types) < 25 {
		t.Fatalf("only %d server types", len(types))
	}
	cx33, _, err := client.ServerType.GetByName(ctx, "cx33")
	ok(t, err)
	equal(t, "cores", cx33.Cores, 4)
	equal(t, "memory", cx33.Memory, 8)
	equal(t, "architecture", cx33.Architecture, hcloud.ArchitectureX86)
	equal(t, "locations of cx33", len(cx33.Locations), 3)
	equal(t, "available", cx33.Locations[0].Available, true)
	if price := cx33.Pricings[0].Monthly.Net; !strings.HasPrefix(price, "8.49") {
		t.Fatalf("cx33 costs %s a month", price)
	}

	for _, image := range []string{"debian-12", "debian-13", "ubuntu-24.04"} {
		for _, architecture := range []hcloud.Architecture{hcloud.ArchitectureX86, hcloud.ArchitectureARM} {
			found, _, err := client.Image.GetByNameAndArchitecture(ctx, image, architecture)
			ok(t, err)
			if found == nil || found.Architecture != architecture {
				t.Fatalf("no image %s for %s", image, architecture)
			}
		}
	}

	pricing, _, err := client.Pricing.Get(ctx)
	ok(t, err)
	equal(t, "priced server types", len(pricing.ServerTypes), len(types))
	equal(t, "currency", pricing.Currency, "EUR")
}

func TestDeprecatedTypes(t *testing.T) {
	ctx := context.Background()
	order := func(serverType, image, location string) error {
		_, _, err := client.Server.Create(ctx, hcloud.ServerCreateOpts{
			Name:       "order",
			ServerType: &hcloud.ServerType{Name: serverType},
			Image:      &hcloud.Image{Name: image},
			Location:   &hcloud.Location{Name: location},
		})
		return err
	}

	cx22, _, err := client.ServerType.GetByName(ctx, "cx22")
	ok(t, err)
	equal(t, "cx22 is deprecated", cx22.Locations[0].IsDeprecated(), true)
	refused(t, order("cx22", "debian-13", "fsn1"), hcloud.ErrorCodeInvalidServerType)
	refused(t, order("cpx31", "debian-13", "fsn1"), hcloud.ErrorCodeInvalidServerType)
	refused(t, order("cx33", "debian-13", "ash"), hcloud.ErrorCodeInvalidInput)
	refused(t, order("cx99", "debian-13", "fsn1"), hcloud.ErrorCodeInvalidInput)
	refused(t, order("cx33", "debian-7", "fsn1"), hcloud.ErrorCodeInvalidInput)

	arm, _, err := client.Image.GetByNameAndArchitecture(ctx, "debian-13", hcloud.ArchitectureARM)
	ok(t, err)
	_, _, err = client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name:       "order",
		ServerType: &hcloud.ServerType{Name: "cx33"},
		Image:      arm,
		Location:   &hcloud.Location{Name: "fsn1"},
	})
	refused(t, err, hcloud.ErrorCodeInvalidInput)
}

func TestWrongToken(t *testing.T) {
	stranger := newClient(os.Getenv("HCLOUD_ENDPOINT"), strings.Repeat("x", 64))
	_, err := stranger.Server.All(context.Background())
	refused(t, err, hcloud.ErrorCodeUnauthorized)
}
