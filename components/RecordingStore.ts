import * as cloudflare from '@pulumi/cloudflare';
import * as pulumi from '@pulumi/pulumi';

export interface RecordingStoreArgs {
  /** `s3`: a bucket that exists; `r2`: a Cloudflare bucket that the stack makes. */
  storeProvider: 's3' | 'r2';
  /** S3 endpoint, https; computed for r2. */
  storeEndpoint: string;
  /** S3 region; computed for r2. */
  storeRegion: string;
  storeBucket: string;
  /** Prefix of the recordings' keys. */
  storePrefix: string;
  /** Cloudflare account of an r2 bucket. */
  cloudflareAccountId: string;
  storeAccessKeyId?: pulumi.Output<string>;
  storeSecretAccessKey?: pulumi.Output<string>;
}

/**
 * The S3-compatible store where recordings land and the app finds them. A bucket made here is protected: taking
 * the platform down never takes its recordings along.
 */
export class RecordingStore extends pulumi.ComponentResource {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly accessKeyId: pulumi.Output<string>;
  readonly secretAccessKey: pulumi.Output<string>;

  constructor(name: string, args: RecordingStoreArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:RecordingStore', name, {}, opts);
    this.bucket = args.storeBucket;
    this.prefix = args.storePrefix;
    this.accessKeyId = pulumi.secret(args.storeAccessKeyId ?? '');
    this.secretAccessKey = pulumi.secret(args.storeSecretAccessKey ?? '');
    if (args.storeProvider === 'r2') {
      new cloudflare.R2Bucket(
        `${name}-bucket`,
        { accountId: args.cloudflareAccountId, name: args.storeBucket },
        { parent: this, retainOnDelete: true },
      );
      this.endpoint = `https://${args.cloudflareAccountId}.r2.cloudflarestorage.com`;
      this.region = 'auto';
    } else {
      this.endpoint = args.storeEndpoint;
      this.region = args.storeRegion;
    }
    this.registerOutputs({ endpoint: this.endpoint, bucket: this.bucket });
  }
}
