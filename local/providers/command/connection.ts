/** How a program says which host a remote command goes to. */
import { number, object, required, text, type Values } from '../properties';

const endpoint = {
  agentSocketPath: text(),
  /** Failed dials before giving up; -1 never gives up. */
  dialErrorLimit: number(),
  host: required(text()),
  /** The host's public key as in `known_hosts`, without the name: "ssh-ed25519 AAAA…". */
  hostKey: text(),
  password: text({ secret: true }),
  /** Seconds that one dial may take; 0 means no limit. */
  perDialTimeout: number(),
  port: number(),
  privateKey: text({ secret: true }),
  privateKeyPassword: text({ secret: true }),
  user: text(),
};

export const connectionProperties = object({ ...endpoint, proxy: object(endpoint) });

export type Endpoint = Values<typeof endpoint>;
export type Connection = Endpoint & { proxy?: Endpoint };

/** Defaults of the real provider. */
export const connectionDefaults = { user: 'root', port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
