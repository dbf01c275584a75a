import type { types } from '@pulumi/command';
import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';
import * as tls from '@pulumi/tls';

export interface SshAccessArgs {
  /** OpenSSH public keys of the administrators. */
  adminSshKeys: string[];
  /** Rotation number of the deploy key, 0 or more. */
  deployKeyRotation: number;
  /** Way to the private addresses, when the public ones cannot be reached; empty: straight to the public ones. */
  bastionHost: string;
  bastionPort: number;
  bastionUser: string;
  bastionHostKey: string;
  bastionPrivateKey?: pulumi.Output<string>;
  labels: Record<string, string>;
}

/** Who the stack is on a host. */
const sshUser = 'root';

export interface KeyPair {
  /** OpenSSH's own form, which sshd reads. */
  privateKey: pulumi.Output<string>;
  /** PKCS #8, a third of the size; it stands in the state with each connection. */
  privateKeyPem: pulumi.Output<string>;
  /** One line without its end, which would replace what it is put into. */
  publicKey: pulumi.Output<string>;
}

/** Makes an ED25519 key pair that lives in the state. */
export function keyPair(name: string, opts: pulumi.CustomResourceOptions): KeyPair {
  const key = new tls.PrivateKey(name, { algorithm: 'ED25519' }, opts);
  return {
    privateKey: pulumi.secret(key.privateKeyOpenssh),
    privateKeyPem: pulumi.secret(key.privateKeyPem),
    publicKey: key.publicKeyOpenssh.apply((text) => text.trim()),
  };
}

/**
 * Who may open SSH, and how the stack does.
 *
 * Three deploy keys are alive at a time: the present one, the next, which hosts accept before it is used, and
 * the previous, with which a `delete` of the last state still connects. So a rotation locks nothing out, not even
 * a drain in the same `up`.
 */
export class SshAccess extends pulumi.ComponentResource {
  /** Ids of the keys for new servers at Hetzner. */
  readonly sshKeyIds: pulumi.Output<string>[];
  /** Public deploy keys that hosts accept, one a line. */
  readonly deployKeys: pulumi.Output<string>;
  /** What opens every host now, in OpenSSH's form. */
  readonly deployKey: pulumi.Output<string>;
  /** The way to the hosts, without its secrets, as the stack's outputs tell it; no bastion: the public addresses. */
  readonly way: { user: string; bastion?: { host: string; port: number; user: string; hostKey: string } };
  readonly #deployKey: KeyPair;
  readonly #bastion: types.input.remote.ProxyConnectionArgs | undefined;

  constructor(name: string, args: SshAccessArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:SshAccess', name, {}, opts);
    const { deployKeyRotation: rotation, labels } = args;
    this.#bastion =
      args.bastionHost === ''
        ? undefined
        : {
            host: args.bastionHost,
            port: args.bastionPort,
            user: args.bastionUser,
            hostKey: args.bastionHostKey,
            privateKey: args.bastionPrivateKey,
          };

    const accepted = [rotation - 1, rotation, rotation + 1].filter((number) => number >= 0);
    const keys = new Map(
      accepted.map((number) => [number, keyPair(`${name}-deploy-key-${number}`, { parent: this })]),
    );
    this.#deployKey = keys.get(rotation)!;
    this.deployKey = this.#deployKey.privateKey;
    const { bastionHost: host, bastionPort: port, bastionUser, bastionHostKey } = args;
    this.way = {
      user: sshUser,
      ...(host !== '' && { bastion: { host, port, user: bastionUser, hostKey: bastionHostKey } }),
    };
    this.deployKeys = pulumi
      .all([...keys.values()].map((key) => key.publicKey))
      .apply((all) => all.join('\n'));

    const sshKey = (suffix: string, publicKey: pulumi.Input<string>): hcloud.SshKey =>
      new hcloud.SshKey(
        `${name}-${suffix}`,
        { name: `${pulumi.getStack()}-${suffix}`, publicKey, labels },
        { parent: this, deleteBeforeReplace: true },
      );
    this.sshKeyIds = [
      sshKey(`deploy-${rotation}`, this.#deployKey.publicKey).id,
      ...args.adminSshKeys.map((key, position) => sshKey(`admin-${position + 1}`, key).id),
    ];
    this.registerOutputs({ deployKeys: this.deployKeys });
  }

  /**
   * Connection of a remote command: pinned host key, present deploy key, over the bastion when there is one.
   *
   * @param host public and private address; the private one is for the bastion's way
   * @param hostKey the host's own public key
   */
  connection(
    host: { publicAddress: pulumi.Input<string>; privateAddress: string },
    hostKey: pulumi.Input<string>,
  ): types.input.remote.ConnectionArgs {
    const bastion = this.#bastion;
    return {
      host: bastion ? host.privateAddress : host.publicAddress,
      user: sshUser,
      privateKey: this.#deployKey.privateKeyPem,
      hostKey,
      // A new host answers within a minute or two; the provider waits longer after each try.
      dialErrorLimit: 20,
      ...(bastion && { proxy: bastion }),
    };
  }
}
