import * as pulumi from '@pulumi/pulumi';
import { randomSecret } from './TokenAuth';

/** XMPP accounts of the recorders: the same on every shard, since one pool records for all of them. */
export class RecorderAccounts extends pulumi.ComponentResource {
  /** Passwords under the names that hosts know them by. */
  readonly passwords: Record<'xmpp-jibri-password' | 'xmpp-recorder-password', pulumi.Output<string>>;

  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:RecorderAccounts', name, {}, opts);
    this.passwords = {
      'xmpp-jibri-password': randomSecret(`${name}-xmpp-jibri-password`, this),
      'xmpp-recorder-password': randomSecret(`${name}-xmpp-recorder-password`, this),
    };
    this.registerOutputs({});
  }
}
