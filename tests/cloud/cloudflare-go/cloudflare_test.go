// Package cloudflare drives the local cloud's Cloudflare calls with Cloudflare's own client, the one that the real
// provider is made of. CLOUDFLARE_BASE_URL and CLOUDFLARE_API_TOKEN say where it is. It is a module of its own
// because the client takes a minute or two to compile.
package cloudflare

import (
	"context"
	"errors"
	"os"
	"testing"

	cf "github.com/cloudflare/cloudflare-go/v6"
	"github.com/cloudflare/cloudflare-go/v6/dns"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/r2"
	"github.com/cloudflare/cloudflare-go/v6/zones"
)

const (
	zoneID    = "0123456789abcdef0123456789abcdef"
	accountID = "fedcba9876543210fedcba9876543210"
)

var client *cf.Client

func TestMain(m *testing.M) {
	url, token := os.Getenv("CLOUDFLARE_BASE_URL"), os.Getenv("CLOUDFLARE_API_TOKEN")
	if url == "" || token == "" {
		println("CLOUDFLARE_BASE_URL and CLOUDFLARE_API_TOKEN are not set: these tests need a running local cloud")
		os.Exit(2)
	}
	client = cf.NewClient(option.WithBaseURL(url), option.WithAPIToken(token), option.WithMaxRetries(0))
	os.Exit(m.Run())
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused ends the test unless a call failed with this status and Cloudflare's own number.
func refused(t *testing.T, err error, status int, code int64) {
	t.Helper()
	var problem *cf.Error
	if !errors.As(err, &problem) || problem.StatusCode != status || len(problem.Errors) == 0 || problem.Errors[0].Code != code {
		t.Fatalf("expected status %d and code %d, got %v", status, code, err)
	}
}

func TestDNSRecord(t *testing.T) {
	ctx := context.Background()
	record := func(content string) dns.ARecordParam {
		return dns.ARecordParam{
			Name: cf.F("meet.example.org"), Type: cf.F(dns.ARecordTypeA), TTL: cf.F(dns.TTL(60)),
			Content: cf.F(content), Proxied: cf.F(false), Comment: cf.F("lessons"),
		}
	}
	create := dns.RecordNewParams{ZoneID: cf.F(zoneID), Body: record("198.18.0.1")}
	created, err := client.DNS.Records.New(ctx, create)
	ok(t, err)
	if created.Name != "meet.example.org" || created.Content != "198.18.0.1" || created.TTL != 60 || created.CreatedOn.IsZero() {
		t.Fatalf("created %+v", created)
	}
	_, err = client.DNS.Records.New(ctx, create)
	refused(t, err, 409, 81058)

	updated, err := client.DNS.Records.Update(ctx, created.ID, dns.RecordUpdateParams{
		ZoneID: cf.F(zoneID), Body: record("198.18.0.2"),
	})
	ok(t, err)
	got, err := client.DNS.Records.Get(ctx, created.ID, dns.RecordGetParams{ZoneID: cf.F(zoneID)})
	ok(t, err)
	if updated.Content != "198.18.0.2" || got.Content != "198.18.0.2" || got.Comment != "lessons" || got.Proxied {
		t.Fatalf("changed to %+v", got)
	}

	found, err := client.DNS.Records.List(ctx, dns.RecordListParams{
		ZoneID: cf.F(zoneID), Name: cf.F(dns.RecordListParamsName{Exact: cf.F("meet.example.org")}),
	})
	ok(t, err)
	if len(found.Result) != 1 || found.Result[0].ID != created.ID {
		t.Fatalf("found %+v", found.Result)
	}
	domain, err := client.Zones.List(ctx, zones.ZoneListParams{Name: cf.F("example.org")})
	ok(t, err)
	if len(domain.Result) != 1 || domain.Result[0].ID != zoneID {
		t.Fatalf("zones %+v", domain.Result)
	}
	_, err = client.Zones.Get(ctx, zones.ZoneGetParams{ZoneID: cf.F(zoneID)})
	ok(t, err)

	_, err = client.DNS.Records.Delete(ctx, created.ID, dns.RecordDeleteParams{ZoneID: cf.F(zoneID)})
	ok(t, err)
	_, err = client.DNS.Records.Get(ctx, created.ID, dns.RecordGetParams{ZoneID: cf.F(zoneID)})
	refused(t, err, 404, 81044)
}

func TestR2Bucket(t *testing.T) {
	ctx := context.Background()
	create := r2.BucketNewParams{
		AccountID: cf.F(accountID), Name: cf.F("lessons"),
		LocationHint: cf.F(r2.BucketNewParamsLocationHintEeur), Jurisdiction: cf.F(r2.BucketNewParamsCfR2JurisdictionEu),
	}
	bucket, err := client.R2.Buckets.New(ctx, create)
	ok(t, err)
	if bucket.Name != "lessons" || bucket.StorageClass != "Standard" || bucket.Jurisdiction != "eu" {
		t.Fatalf("created %+v", bucket)
	}
	_, err = client.R2.Buckets.New(ctx, create)
	refused(t, err, 409, 10004)

	_, err = client.R2.Buckets.Edit(ctx, "lessons", r2.BucketEditParams{
		AccountID: cf.F(accountID), Jurisdiction: cf.F(r2.BucketEditParamsCfR2JurisdictionEu),
		StorageClass: cf.F(r2.BucketEditParamsCfR2StorageClassInfrequentAccess),
	})
	ok(t, err)
	got, err := client.R2.Buckets.Get(ctx, "lessons", r2.BucketGetParams{
		AccountID: cf.F(accountID), Jurisdiction: cf.F(r2.BucketGetParamsCfR2JurisdictionEu),
	})
	ok(t, err)
	if got.StorageClass != "InfrequentAccess" || got.CreationDate == "" {
		t.Fatalf("read %+v", got)
	}
	_, err = client.R2.Buckets.Get(ctx, "lessons", r2.BucketGetParams{AccountID: cf.F(accountID)})
	refused(t, err, 404, 10006)
	_, err = client.R2.Buckets.Delete(ctx, "lessons", r2.BucketDeleteParams{
		AccountID: cf.F(accountID), Jurisdiction: cf.F(r2.BucketDeleteParamsCfR2JurisdictionEu),
	})
	ok(t, err)
}
