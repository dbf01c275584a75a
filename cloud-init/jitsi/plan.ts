import { aptSource, hostPlanOf, type RolePart } from '../common/plan';
import type { HostPlan, HostService } from '../host-plan';
import { JAVA, videobridgePart } from '../jvb/plan';
import { roleFiles, type FileRule } from '../role-files';
import { refuseQuoting } from '../upkeep/plain-text';
import { AUTHORITY, joinParts, STATUS_PORT, upkeepPart } from '../upkeep/plan';
import type { JitsiValues } from '../values';
import { enabledModules, hostOptions, pluginFiles, PLUGINS, roomOptions, shipped } from './prosody-modules';

/** CA certificate of a private ACME server; certbot trusts no other then. */
const ACME_CA = '/etc/letsencrypt/acme-ca.crt';

/** Name by which TURN on port 443 is told from the web client; it needs an address record like the domain. */
export const turnName = (domain: string): string => `turn.${domain}`;

const addressIn = (networkCidr: string, rest: string): string =>
  `${networkCidr.split('.').slice(0, 2).join('.')}.${rest}`;

/**
 * nginx locations for colibri WebSockets. A bridge's server id is its host's name, and the name gives its
 * private address, so a bridge more or less needs no change here.
 */
function colibriLocations(values: JitsiValues): string {
  const location = (pattern: string, target: string) => `    location ~ ^/colibri-ws/${pattern}/(.*)$ {
        proxy_pass ${target}/colibri-ws/$server_id/$1$is_args$args;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        tcp_nodelay on;
        proxy_read_timeout 900s;
    }
`;
  const bridges = addressIn(values.networkCidr, `${10 + values.shard}.$number`);
  const number = '(?<number>[1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-4])';
  return [
    location(`(?<server_id>bridge-${values.shard}-${number})`, `http://${bridges}:9090`),
    ...(values.jvbOnJitsiHost
      ? [location(`(?<server_id>jitsi-${values.shard})`, 'http://127.0.0.1:9090')]
      : []),
  ].join('');
}

function templateValues(values: JitsiValues): Record<string, string | number | boolean> {
  const { domain, turnOnPort443, jigasi } = values;
  const listen = turnOnPort443
    ? ['127.0.0.1:4443 ssl http2 proxy_protocol']
    : ['443 ssl http2', '[::]:443 ssl http2'];
  const listens = (extra: string) => listen.map((each) => `listen ${each}${extra};`).join('\n    ');
  const clientAddress = turnOnPort443
    ? '\n    # The client’s address, as the stream in front says it.\n    set_real_ip_from 127.0.0.1;\n    real_ip_header proxy_protocol;'
    : '';
  return {
    domain,
    shard: values.shard,
    appId: values.appId,
    appUrl: values.appUrl,
    letsEncryptEmail: values.letsEncryptEmail,
    acmeDirectory: values.acmeDirectory,
    acmeCaFile: values.acmeCaCertificate ? ACME_CA : '',
    acmeCaCertificate: values.acmeCaCertificate?.trim() ?? '',
    serverNames: turnOnPort443 ? `${domain} ${turnName(domain)}` : domain,
    turnDomain: turnName(domain),
    turnOn443: turnOnPort443
      ? `    { type = "turns", host = "${turnName(domain)}", port = 443, transport = "tcp", secret = true, ttl = 86400, algorithm = "turn" };\n`
      : '',
    webListen: listens('') + clientAddress,
    webListenDefault: listens(' default_server'),
    appOriginMap: values.appOrigins.map((origin) => `    "${origin}" $http_origin;\n`).join(''),
    frameAncestors: values.appOrigins.map((origin) => ` ${origin}`).join(''),
    colibriLocations: colibriLocations(values),
    hostModules: enabledModules('host'),
    rotationOptions: hostOptions(values).trimEnd(),
    conferenceModules: enabledModules('conference'),
    conferenceOptions: roomOptions('conference', values),
    breakoutModules: enabledModules('breakout'),
    breakoutOptions: roomOptions('breakout', values),
    breweryAdmins: jigasi ? `; "jigasi@auth.${domain}"` : '',
    withoutToken: jigasi ? `; "jigasi@auth.${domain}"` : '',
    jigasiAccount: jigasi ? `    ("jigasi", "auth." + DOMAIN, "xmpp-jigasi-password"),\n` : '',
    jigasiBrewery: jigasi
      ? `\n  jigasi {\n    brewery-jid = "jigasibrewery@internal.auth.${domain}"\n  }\n`
      : '',
    sipAccount: jigasi?.sipAccount ?? '',
    // Without the module that guards the room's own right to record, Jicofo's check stays on.
    moderatorChecks: !shipped('lesson_recording'),
    selectionStrategy: values.relays ? 'IntraRegionBridgeSelectionStrategy' : 'SingleBridgeSelectionStrategy',
    relays: values.relays,
    recorderNetwork: addressIn(values.networkCidr, '2.0'),
    bridgeNetwork: addressIn(values.networkCidr, `${10 + values.shard}.0`),
    statusPort: STATUS_PORT,
    networkCidr: values.networkCidr,
    bridgeCount: values.bridgeCount,
    alertEmail: values.alertEmail ?? '',
    // A command of the shell.
    ownBridge: values.jvbOnJitsiHost ? 'true' : 'false',
    readyUnits: [
      'nginx',
      'prosody',
      'coturn',
      'jicofo',
      ...(values.jvbOnJitsiHost ? ['jitsi-videobridge2'] : []),
      ...(jigasi ? ['jigasi'] : []),
    ].join(' '),
  };
}

// Before the packages: their scripts leave alone what they find, and Prosody and nginx start once, with ours.
const early: FileRule = { path: '', phase: 'before-packages' };
const rules: FileRule[] = [
  { ...early, path: '/etc/prosody/prosody.cfg.lua', group: 'prosody', mode: '0640' },
  { ...early, path: '/etc/prosody/conf.avail/*' },
  { ...early, path: '/var/lib/prosody/*' },
  { ...early, path: '/etc/systemd/system/*.service.d/*' },
  { ...early, path: '/etc/systemd/system/platform-certificate.service' },
  { ...early, path: '/usr/local/sbin/platform-certificate' },
  { ...early, path: ACME_CA },
  { ...early, path: '/etc/nginx/sites-available/*' },
  { ...early, path: '/etc/nginx/snippets/*' },
  { ...early, path: '/etc/jitsi/meet/*' },
  { ...early, path: '/etc/jitsi/jicofo/jicofo.conf', owner: 'jicofo', group: 'jitsi', mode: '0640' },
  { ...early, path: '/etc/turnserver.conf', group: 'turnserver', mode: '0640' },
  { path: '/etc/prosody/secrets/*', group: 'prosody', mode: '0640' },
  { path: '/etc/prosody/certs/*.crt', group: 'prosody', mode: '0640' },
  { path: '/etc/prosody/certs/*.key', group: 'prosody', mode: '0640' },
  { path: '/etc/letsencrypt/renewal-hooks/deploy/platform', mode: '0755' },
  { path: '/usr/local/lib/platform/checks/*', mode: '0755' },
];

function services(values: JitsiValues): HostService[] {
  const { domain } = values;
  const bind = '/usr/local/sbin/';
  const list: (HostService | false)[] = [
    {
      unit: 'platform-certificate.service',
      verify: 'test -s /etc/ssl/platform/public.crt',
      files: [
        `${bind}platform-certificate`,
        '/etc/platform/secrets/fallback-certificate',
        '/etc/platform/secrets/fallback-key',
      ],
    },
    {
      unit: 'nginx.service',
      reload: true,
      check: `${bind}platform-certificate install && nginx -t`,
      files: [
        '/etc/nginx/**',
        `/etc/jitsi/meet/${domain}-config.js`,
        // Its names and its certificate come with it.
        `${bind}platform-certificate`,
      ],
    },
    {
      // Sessions live on: secrets and certificates are read anew.
      unit: 'prosody.service',
      reload: true,
      reloadCommand: `${bind}platform-prosody-reload`,
      files: ['/etc/prosody/secrets/*', '/etc/prosody/certs/*'],
    },
    {
      // Hosts, components and modules' options: a restart ends every lesson of the shard.
      unit: 'prosody.service',
      endsLessons: true,
      check: `${bind}platform-prosody-check`,
      // Modules may be missing while systemd, apt and Prosody's own check say that all is well.
      verify: `${bind}platform-token-check --login-only`,
      packages: ['prosody', 'jitsi-meet-prosody', 'lua-sec'],
      files: ['/etc/prosody/prosody.cfg.lua', '/etc/prosody/conf.avail/*', `${PLUGINS}/*`],
    },
    {
      unit: 'platform-accounts.service',
      verify: `${bind}platform-accounts --check`,
      files: [
        `${bind}platform-accounts`,
        '/etc/platform/secrets/xmpp-focus-password',
        '/etc/platform/secrets/xmpp-jvb-password',
        '/etc/platform/secrets/xmpp-jibri-password',
        '/etc/platform/secrets/xmpp-recorder-password',
        ...(values.jigasi ? ['/etc/platform/secrets/xmpp-jigasi-password'] : []),
      ],
    },
    {
      // Whoever is relayed is thrown back to finding a way.
      unit: 'coturn.service',
      endsLessons: true,
      verify: "ss -Hltn 'sport = :5349' | grep -q .",
      packages: ['coturn'],
      files: ['/etc/turnserver.conf'],
    },
    {
      // Recorders would go on without anybody who knows of them.
      unit: 'jicofo.service',
      endsLessons: true,
      check: 'hocon -f /etc/jitsi/jicofo/jicofo.conf get jicofo.xmpp.client.domain',
      // A SysV script: the unit counts as active when the process is gone.
      mendDuringLessons: true,
      verify: 'curl --silent --fail --max-time 5 --output /dev/null http://127.0.0.1:8888/about/health',
      packages: ['jicofo', JAVA],
      files: ['/etc/jitsi/jicofo/jicofo.conf', AUTHORITY],
    },
  ];
  return list.filter((service) => service !== false);
}

function sipPart(): RolePart {
  return {
    packages: ['jigasi'],
    units: { enabled: ['jigasi.service'], disabled: [], masked: [] },
    services: [
      {
        unit: 'platform-sip-account.service',
        files: [
          '/usr/local/sbin/platform-sip-account',
          '/etc/platform/secrets/sip-password',
          '/etc/platform/secrets/xmpp-jigasi-password',
        ],
      },
      {
        // Its calls end.
        unit: 'jigasi.service',
        endsLessons: true,
        packages: ['jigasi', JAVA],
        // Whether its account works is the provider's to say; that it answers is ours.
        verify: 'curl --silent --max-time 5 --output /dev/null http://127.0.0.1:8788/about/health',
        files: [
          '/usr/local/sbin/platform-sip-account',
          '/etc/platform/secrets/sip-password',
          '/etc/platform/secrets/xmpp-jigasi-password',
          AUTHORITY,
        ],
      },
    ],
    secrets: ['xmpp-jigasi-password', 'sip-password'],
  };
}

/**
 * The host plan of the role jitsi, one per shard: Prosody, Jicofo, web client, coturn, nginx and, by choice, a
 * bridge, TURN on 443 and the SIP gateway.
 *
 * @throws Error when a value could not stand in a configuration file, or the templates and values do not fit
 */
export function jitsiHostPlan(values: JitsiValues): HostPlan {
  const { domain, jigasi } = values;
  refuseQuoting(
    {
      domain,
      appId: values.appId,
      appUrl: values.appUrl,
      webhookUrl: values.webhookUrl,
      letsEncryptEmail: values.letsEncryptEmail,
      acmeDirectory: values.acmeDirectory,
      sipAccount: jigasi?.sipAccount ?? '',
      alertEmail: values.alertEmail ?? '',
      ...Object.fromEntries(values.appOrigins.map((origin, index) => [`appOrigins[${index}]`, origin])),
    },
    'jitsi',
  );
  const omit = [
    ...(values.turnOnPort443 ? [] : ['/etc/nginx/modules-enabled/*']),
    ...(values.acmeCaCertificate ? [] : [ACME_CA, '/etc/systemd/system/certbot.service.d/*']),
    ...(jigasi
      ? []
      : [
          '/usr/local/sbin/platform-sip-account',
          '/etc/systemd/system/platform-sip-account.service',
          '/etc/systemd/system/jigasi.service.d/*',
          '/usr/local/lib/platform/checks/37-telephone',
        ]),
    ...(values.alertWebhook || values.alertEmail
      ? []
      : ['/usr/local/sbin/platform-alert', '/etc/systemd/system/platform-doctor.service.d/*']),
  ];
  const role: RolePart = {
    aptSources: [
      aptSource('prosody', values.packageSources.prosody),
      aptSource('jitsi', values.packageSources.jitsi),
    ],
    packages: [
      'nginx',
      ...(values.turnOnPort443 ? ['libnginx-mod-stream'] : []),
      'prosody',
      'coturn',
      'certbot',
      'openssl',
      'procps',
      'jicofo',
      'jitsi-meet-web',
      'jitsi-meet-web-config',
      'jitsi-meet-prosody',
      'jitsi-meet-tokens',
      'jitsi-meet-turnserver',
    ],
    // Nothing asks; what is a secret there is never used: the files and accounts in use are ours.
    debconf: [
      `jitsi-meet-web-config jitsi-videobridge/jvb-hostname string ${domain}`,
      'jitsi-meet-web-config jitsi-meet/cert-choice select I want to use my own certificate',
      'jitsi-meet-web-config jitsi-meet/cert-path-crt string /etc/ssl/platform/public.crt',
      'jitsi-meet-web-config jitsi-meet/cert-path-key string /etc/ssl/platform/public.key',
      'jitsi-meet-web-config jitsi-meet/jaas-choice boolean false',
      `jitsi-meet-tokens jitsi-meet-tokens/appid string ${values.appId}`,
      'jitsi-meet-tokens jitsi-meet-tokens/appsecret password {{throwaway}}',
      'jitsi-meet-prosody jitsi-meet-prosody/turn-secret string {{throwaway}}',
      'jitsi-meet-prosody jicofo/jicofo-authpassword password {{throwaway}}',
      'jitsi-meet-prosody jitsi-videobridge/jvbsecret password {{throwaway}}',
      ...(jigasi
        ? [
            `jigasi jigasi/sip-account string ${jigasi.sipAccount}`,
            'jigasi jigasi/sip-password password {{throwaway}}',
          ]
        : []),
    ],
    directories: {
      '/etc/prosody/secrets': { owner: 'root', group: 'prosody', mode: '0750' },
      '/etc/prosody/certs': { owner: 'root', group: 'prosody', mode: '0750' },
      '/var/lib/prosody': { owner: 'prosody', group: 'prosody', mode: '0750' },
      '/etc/jitsi/jicofo': { owner: 'jicofo', group: 'jitsi', mode: '0750' },
      '/var/www/acme': { owner: 'root', group: 'root', mode: '0755' },
    },
    files: {
      ...roleFiles(__dirname, templateValues(values), rules, omit),
      ...pluginFiles(),
    },
    links: {
      [`/etc/prosody/conf.d/${domain}.cfg.lua`]: `/etc/prosody/conf.avail/${domain}.cfg.lua`,
      [`/etc/nginx/sites-enabled/${domain}.conf`]: `/etc/nginx/sites-available/${domain}.conf`,
    },
    // Debian's examples: a second default server, and a host that serves nobody.
    absent: ['/etc/nginx/sites-enabled/default', '/etc/prosody/conf.d/localhost.cfg.lua'],
    units: {
      enabled: [
        'nginx.service',
        'prosody.service',
        'coturn.service',
        'jicofo.service',
        'certbot.timer',
        'platform-certificate-request.timer',
        'platform-focus-guard.timer',
      ],
      disabled: [],
      masked: [],
    },
    services: services(values),
    secrets: [
      'jwt-secret',
      'jwt-secret-previous',
      'webhook-secret',
      'turn-secret',
      'xmpp-focus-password',
      'xmpp-jvb-password',
      'xmpp-jibri-password',
      'xmpp-recorder-password',
      'xmpp-certificate',
      'xmpp-key',
      'fallback-certificate',
      'fallback-key',
      ...(values.alertWebhook ? ['alert-webhook'] : []),
      ...(values.alertEmail ? ['alert-smtp'] : []),
    ],
    ready: '/usr/local/sbin/platform-ready',
  };
  const bridge = {
    domain,
    shard: values.shard,
    relays: values.relays,
    xmppAddress: 'localhost',
    webSocketAddress: '127.0.0.1',
  };
  const logs = {
    prosody: '/var/log/prosody/prosody.log /var/log/prosody/prosody.err',
    jicofo: '/var/log/jitsi/jicofo.log',
    nginx: '/var/log/nginx/error.log',
    coturn: 'coturn',
    certificate: '/var/log/letsencrypt/letsencrypt.log platform-certificate-request',
    ...(values.jvbOnJitsiHost && { jvb: '/var/log/jitsi/jvb.log jitsi-videobridge2' }),
    ...(jigasi && { jigasi: '/var/log/jitsi/jigasi.log jigasi' }),
  };
  return hostPlanOf(
    'jitsi',
    values,
    joinParts(
      upkeepPart(logs),
      role,
      ...(values.jvbOnJitsiHost ? [videobridgePart(bridge, false)] : []),
      ...(jigasi ? [sipPart()] : []),
    ),
  );
}
