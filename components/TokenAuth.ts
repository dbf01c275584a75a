import * as pulumi from '@pulumi/pulumi';
import * as random from '@pulumi/random';

export interface TokenAuthArgs {
  /** App id: issuer of the tokens. */
  jwtAppId: string;
  /** Own JWT secret; without one the stack makes it. */
  jwtSecret?: pulumi.Input<string>;
  /** The own secret before `jwtSecret`, accepted during the rotation window. */
  jwtSecretPrevious?: pulumi.Input<string>;
  /** Rotation number of the secret that the stack makes, 0 or more. */
  jwtSecretRotation: number;
}

/**
 * Random text of letters and digits; the default alphabet breaks shells, YAML and Jitsi's packages.
 *
 * @param length characters, 48 carry 285 bits
 */
export function randomSecret(name: string, parent: pulumi.Resource, length = 48): pulumi.Output<string> {
  return new random.RandomPassword(name, { length, special: false }, { parent }).result;
}

/**
 * The secret that signs lesson tokens, from one source for its two readers: the Jitsi hosts and the app's stack.
 *
 * A rotation keeps the previous secret in the state, so that hosts verify both for a window of hours while the app
 * goes over to the new one.
 */
export class TokenAuth extends pulumi.ComponentResource {
  readonly appId: string;
  /** Audience of the tokens, as Jitsi's documentation has it. */
  readonly audience = 'jitsi';
  readonly jwtSecret: pulumi.Output<string>;
  /** Empty when there is no previous secret. */
  readonly previousJwtSecret: pulumi.Output<string>;
  /** Signs what the platform sends to the app. */
  readonly webhookSecret: pulumi.Output<string>;

  constructor(name: string, args: TokenAuthArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:TokenAuth', name, {}, opts);
    const rotation = args.jwtSecretRotation;
    this.appId = args.jwtAppId;

    const made = (number: number): pulumi.Output<string> =>
      randomSecret(`${name}-jwt-secret-${number}`, this, 64);
    this.jwtSecret = pulumi.secret(args.jwtSecret ?? made(rotation));
    this.previousJwtSecret = pulumi.secret(
      args.jwtSecretPrevious ?? (rotation > 0 && !args.jwtSecret ? made(rotation - 1) : ''),
    );
    this.webhookSecret = pulumi.secret(randomSecret(`${name}-webhook-secret`, this, 64));
    this.registerOutputs({
      jwtSecret: this.jwtSecret,
      previousJwtSecret: this.previousJwtSecret,
      webhookSecret: this.webhookSecret,
    });
  }
}
