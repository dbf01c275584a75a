package hcloud_test

import (
	"context"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

func TestZone(t *testing.T) {
	ctx := context.Background()
	created, _, err := client.Zone.Create(ctx, hcloud.ZoneCreateOpts{Name: "example.org", Mode: hcloud.ZoneModePrimary})
	ok(t, err)
	done(t, created.Action)
	zone, _, err := client.Zone.Get(ctx, "example.org")
	ok(t, err)
	equal(t, "default TTL", zone.TTL, 3600)
	equal(t, "own records", zone.RecordCount, 4)
	_, _, err = client.Zone.Create(ctx, hcloud.ZoneCreateOpts{Name: "example.org", Mode: hcloud.ZoneModePrimary})
	refused(t, err, hcloud.ErrorCodeUniquenessError)

	t.Run("record sets", func(t *testing.T) {
		create := func(name string, family hcloud.ZoneRRSetType, value string) (hcloud.ZoneRRSetCreateResult, error) {
			result, _, err := client.Zone.CreateRRSet(ctx, zone, hcloud.ZoneRRSetCreateOpts{
				Name: name, Type: family, TTL: hcloud.Ptr(300), Records: []hcloud.ZoneRRSetRecord{{Value: value}},
			})
			return result, err
		}
		result, err := create("meet", hcloud.ZoneRRSetTypeA, "198.18.0.1")
		ok(t, err)
		done(t, result.Action)
		equal(t, "id", result.RRSet.ID, "meet/A")
		_, err = create("meet", hcloud.ZoneRRSetTypeA, "198.18.0.2")
		refused(t, err, hcloud.ErrorCodeUniquenessError)
		_, err = create("meet.example.org", hcloud.ZoneRRSetTypeA, "198.18.0.2")
		refused(t, err, hcloud.ErrorCodeInvalidInput)
		_, err = create("other", hcloud.ZoneRRSetTypeA, "2001:db8::1")
		refused(t, err, hcloud.ErrorCodeInvalidInput)
		apex, err := create("@", hcloud.ZoneRRSetTypeAAAA, "2001:db8::1")
		ok(t, err)
		done(t, apex.Action)

		rrset, _, err := client.Zone.GetRRSetByNameAndType(ctx, zone, "meet", hcloud.ZoneRRSetTypeA)
		ok(t, err)
		action, _, err := client.Zone.SetRRSetRecords(ctx, rrset, hcloud.ZoneRRSetSetRecordsOpts{
			Records: []hcloud.ZoneRRSetRecord{{Value: "198.18.0.9", Comment: "moved"}},
		})
		ok(t, err)
		done(t, action)
		action, _, err = client.Zone.ChangeRRSetTTL(ctx, rrset, hcloud.ZoneRRSetChangeTTLOpts{TTL: hcloud.Ptr(60)})
		ok(t, err)
		done(t, action)
		action, _, err = client.Zone.AddRRSetRecords(ctx, rrset, hcloud.ZoneRRSetAddRecordsOpts{
			Records: []hcloud.ZoneRRSetRecord{{Value: "198.18.0.10"}},
		})
		ok(t, err)
		done(t, action)
		action, _, err = client.Zone.RemoveRRSetRecords(ctx, rrset, hcloud.ZoneRRSetRemoveRecordsOpts{
			Records: []hcloud.ZoneRRSetRecord{{Value: "198.18.0.10"}},
		})
		ok(t, err)
		done(t, action)
		rrset, _, err = client.Zone.GetRRSetByID(ctx, zone, "meet/A")
		ok(t, err)
		equal(t, "value", rrset.Records[0].Value, "198.18.0.9")
		equal(t, "comment", rrset.Records[0].Comment, "moved")
		equal(t, "TTL", *rrset.TTL, 60)

		protect := func(on bool) {
			action, _, err := client.Zone.ChangeRRSetProtection(ctx, rrset, hcloud.ZoneRRSetChangeProtectionOpts{Change: hcloud.Ptr(on)})
			ok(t, err)
			done(t, action)
		}
		protect(true)
		_, _, err = client.Zone.DeleteRRSet(ctx, rrset)
		refused(t, err, hcloud.ErrorCodeProtected)
		protect(false)
		all, err := client.Zone.AllRRSets(ctx, zone)
		ok(t, err)
		equal(t, "record sets", len(all), 4)
		deleted, _, err := client.Zone.DeleteRRSet(ctx, rrset)
		ok(t, err)
		done(t, deleted.Action)
		gone, _, err := client.Zone.GetRRSetByID(ctx, zone, "meet/A")
		ok(t, err)
		if gone != nil {
			t.Fatal("the record set is still there")
		}
	})

	action, _, err := client.Zone.ChangeTTL(ctx, zone, hcloud.ZoneChangeTTLOpts{TTL: 7200})
	ok(t, err)
	done(t, action)
	protect := func(on bool) {
		action, _, err := client.Zone.ChangeProtection(ctx, zone, hcloud.ZoneChangeProtectionOpts{Delete: hcloud.Ptr(on)})
		ok(t, err)
		done(t, action)
	}
	protect(true)
	_, _, err = client.Zone.Delete(ctx, zone)
	refused(t, err, hcloud.ErrorCodeProtected)
	protect(false)
	deleted, _, err := client.Zone.Delete(ctx, zone)
	ok(t, err)
	done(t, deleted.Action)
	gone, _, err := client.Zone.GetByName(ctx, "example.org")
	ok(t, err)
	if gone != nil {
		t.Fatal("the zone is still there")
	}
}
