import { isIP } from 'node:net';
import { z } from 'zod';
import { inNetwork } from '../addresses';
import type { Cloud } from '../cloud';
import { invalidInput } from '../errors';
import { hostName, parseBody } from '../input';
import type { Routes } from '../routes';
import type { PrimaryIpRecord } from '../state';
import { began, wanted } from './kind';

const changeDnsPtr = z.strictObject({
  ip: z.string().refine((text) => isIP(text) !== 0, 'not an IP address'),
  dns_ptr: hostName.nullable(),
});

/** Names of public addresses: asked for by primary IP, or by the server that has it. */
export function reverseDnsRoutes(routes: Routes, cloud: Cloud): void {
  const { state } = cloud.store;
  const records = state.primaryIps;

  const setDnsPtr = cloud.actions.define<{ primaryIp: number; ip: string; dnsPtr: string | null }>(
    'primary_ip/change_dns_ptr',
    {
      command: 'change_dns_ptr',
      apply: (args) => {
        const ip = records.get(args.primaryIp);
        if (!ip) return;
        const dnsPtr = args.dnsPtr ?? defaultDnsPtr(ip);
        const others = ip.dnsPtr.filter((one) => one.ip !== args.ip);
        ip.dnsPtr = dnsPtr === null ? others : [...others, { ip: args.ip, dns_ptr: dnsPtr }];
      },
    },
  );
  const changePtr = (ip: PrimaryIpRecord, body: unknown) => {
    const given = parseBody(changeDnsPtr, body);
    refuseForeign(ip, given.ip);
    return began(
      setDnsPtr([{ type: 'primary_ip', id: ip.id }], {
        primaryIp: ip.id,
        ip: given.ip,
        dnsPtr: given.dns_ptr,
      }),
    );
  };
  routes.post('/primary_ips/:id/actions/change_dns_ptr', (call) =>
    changePtr(wanted({ records, type: 'primary_ip' }, call), call.body),
  );
  routes.post('/servers/:id/actions/change_dns_ptr', (call) => {
    const server = wanted({ records: state.servers, type: 'server' }, call);
    const given = parseBody(changeDnsPtr, call.body);
    const ip = records.find((one) => one.assignee === server.id && owns(one, given.ip));
    if (!ip) throw invalidInput('ip', `${given.ip} is not an address of server ${server.id}`);
    return changePtr(ip, call.body);
  });
}

/** An IPv4 address always has a name of the provider's; IPv6 has none until it is given one. */
export function defaultDnsPtr(ip: PrimaryIpRecord): string | null {
  return ip.type === 'ipv4' ? `static.${ip.ip.split('.').reverse().join('.')}.clients.your-server.de` : null;
}

function owns(ip: PrimaryIpRecord, address: string): boolean {
  return ip.type === 'ipv4' ? ip.ip === address : inNetwork(address, ip.ip);
}

function refuseForeign(ip: PrimaryIpRecord, address: string): void {
  if (!owns(ip, address))
    throw invalidInput('ip', `${address} does not belong to primary IP ${ip.id} (${ip.ip})`);
}
