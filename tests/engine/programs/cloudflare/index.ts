import * as cloudflare from '@pulumi/cloudflare';
import * as pulumi from '@pulumi/pulumi';

const config = new pulumi.Config();
const zone = config.get('zone') ?? '0123456789abcdef0123456789abcdef';

const record = new cloudflare.DnsRecord('record', {
  zoneId: zone === 'none' ? '' : zone,
  name: 'meet.example.org',
  type: 'A',
  ttl: config.getNumber('ttl') ?? 300,
  content: config.get('content') ?? '198.18.0.1',
  proxied: false,
});
const bucket = new cloudflare.R2Bucket('bucket', {
  accountId: 'fedcba9876543210fedcba9876543210',
  name: 'lesson-recordings',
  location: 'weur',
});

export const recordId = record.id;
export const bucketName = bucket.name;
