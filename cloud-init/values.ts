/** An apt repository of the host's packages: Debian's, Prosody's or Jitsi's own, or a mirror of it. */
export interface Source {
  uri: string;
  suite: string;
  /** Separated by blanks; empty for a flat repository, whose suite ends in `/`. */
  components: string;
  /** Armoured public key; `''` takes the key that the project ships in `common/keyrings`, for Debian its own. */
  key: string;
}

/** What every role needs to know. */
export interface CommonValues {
  /** Networks that may reach SSH from outside, IPv4 or IPv6 CIDR. */
  adminCidrs: string[];
  /** OpenSSH public keys of people, one line each. */
  adminSshKeys: string[];
  /** The private network, IPv4 CIDR, e.g. 10.10.0.0/16. */
  networkCidr: string;
  packageSources: { debian?: Source; prosody: Source; jitsi: Source };
}

export interface JitsiValues extends CommonValues {
  /** 1 or higher. */
  shard: number;
  domain: string;
  letsEncryptEmail: string;
  /** ACME directory of the certificate authority. */
  acmeDirectory: string;
  /** CA certificate of a private ACME server, PEM; unset when public ones vouch for it. */
  acmeCaCertificate?: string;
  appId: string;
  appOrigins: string[];
  appUrl: string;
  webhookUrl: string;
  jvbOnJitsiHost: boolean;
  turnOnPort443: boolean;
  moderatorsMayGrant: boolean;
  jwtRotationWindowHours: number;
  recordingStart: 'first-moderator' | 'first-two-occupants' | 'first-person' | 'command';
  /** After the last moderator has left. */
  recordingStopGraceMinutes: number;
  moderatorsMayRecord: boolean;
  jigasi?: { sipAccount: string };
  /** Bridges of this shard besides its own, 0 or more. */
  bridgeCount: number;
  /** Whether failures of the shard's hosts are posted to the address in the secret `alert-webhook`. */
  alertWebhook?: boolean;
  /** Who gets a mail of them, through the relay in the secret `alert-smtp`. */
  alertEmail?: string;
  relays: boolean;
}

export interface RecorderValues extends CommonValues {
  /** The shards whose lessons it records; it joins the brewery of each. */
  shards: { domain: string; jitsiAddress: string }[];
  /** Recordings at a time on one host, 1 or more. */
  instances: number;
  store: { endpoint: string; region: string; bucket: string; prefix: string };
  webhookUrl: string;
  drainWaitMinutes: number;
}

export interface BridgeValues extends CommonValues {
  shard: number;
  domain: string;
  jitsiAddress: string;
  relays: boolean;
}
