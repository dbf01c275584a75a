import * as pulumi from '@pulumi/pulumi';
import { randomSecret } from './TokenAuth';

/** XMPP accounts of the recorders: the same on every shard, since one pool records for all of them. */
export class RecorderAccounts extends pulumi.ComponentResource {
  /** Passwords under the names that hosts know them by. */
  readonly passwords: Record<'xmpp-jibri-password' | 'xmpp-recorder-password', pulumi.Output<string>>;

  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:RecorderAccounts', name, {}, opts);
    // One password for both: the same program on the same host holds them.
    const password = randomSecret(`${name}-password`, this);
    this.passwords = { 'xmpp-jibri-password': password, 'xmpp-recorder-password': password };
    this.registerOutputs({});
  }
}
