import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptSource, hostPlanOf, PLAN_STORE_PORT, type RolePart } from '../common/plan';
import type { HostFile, HostPlan, HostService, HostUser } from '../host-plan';
import { roleFiles } from '../role-files';
import { fillTemplate, type TemplateValues } from '../template';
import { refuseQuoting } from '../upkeep/plain-text';
import { AUTHORITY, joinParts, STATUS_PORT, upkeepPart } from '../upkeep/plan';
import type { RecorderValues } from '../values';

/** Jibri's HTTP ports on loopback, of instance 1; each further instance has the next. */
const EXTERNAL_PORT = 2222;
const INTERNAL_PORT = 3333;

/** What a lesson shows in a frame when its teacher shares a video; a frame is held to the list of addresses as well. */
const SHARED_VIDEOS = ['https://www.youtube.com/embed', 'https://www.youtube-nocookie.com/embed'];

const template = (name: string, values: TemplateValues): string =>
  fillTemplate(readFileSync(join(__dirname, name), 'utf8').replaceAll('\r\n', '\n'), values, `jibri/${name}`);

/** What one instance has for itself: user, folders, settings. Its units are systemd templates. */
function instancePart(values: RecorderValues, instance: number): RolePart {
  const user = `jibri-${instance}`;
  const config = `/etc/jitsi/jibri/instance-${instance}`;
  const home = `/var/lib/jibri/${instance}`;
  const file = (content: string): HostFile => ({
    owner: 'root',
    group: user,
    mode: '0640',
    content,
    phase: 'after-packages',
  });
  const environments = values.shards
    .map((shard) => template('environment.template', { ...shard, instance }))
    .join('');
  const own = { owner: user, group: user, mode: '0750' };
  const users: Record<string, HostUser> = {
    [user]: { home, shell: '/usr/sbin/nologin', groups: ['audio', 'video', 'jitsi'] },
  };
  const services: HostService[] = [
    {
      unit: `platform-jibri@${instance}.service`,
      endsLessons: true,
      check: `hocon -f ${config}/jibri.conf get jibri.id`,
      files: [
        `${config}/*`,
        AUTHORITY,
        '/usr/local/lib/platform/browser-trust',
        '/etc/chromium/policies/managed/*',
      ],
    },
  ];
  return {
    users,
    directories: {
      [home]: own,
      [`${home}/recordings`]: own,
      [`${home}/queue`]: own,
      [config]: { owner: 'root', group: user, mode: '0750' },
      [`/var/log/jitsi/jibri/${instance}`]: own,
    },
    files: {
      [`${config}/jibri.conf`]: file(
        template('jibri.conf.template', {
          instance,
          instances: values.instances,
          externalPort: EXTERNAL_PORT + instance - 1,
          internalPort: INTERNAL_PORT + instance - 1,
          environments,
        }),
      ),
      [`${config}/logging.properties`]: file(template('logging.properties.template', { instance })),
    },
    units: { enabled: [`platform-jibri@${instance}.service`], disabled: [], masked: [] },
    services,
  };
}

/**
 * The host plan of the role recorder, the same for all recorders: N instances of Jibri, each with its own user,
 * display, sink, ports, folders and nickname; an uploader; the status service that the Jitsi hosts ask.
 *
 * @throws Error when a value could not stand in a configuration file, or instances is not 1 to 32
 */
export function recorderHostPlan(values: RecorderValues): HostPlan {
  const { shards, instances, store } = values;
  if (!Number.isInteger(instances) || instances < 1 || instances > 32) {
    throw new Error(`instances: ${instances} is not a whole number from 1 to 32, e.g. 2`);
  }
  refuseQuoting(
    {
      storeEndpoint: store.endpoint,
      storeRegion: store.region,
      storeBucket: store.bucket,
      storePrefix: store.prefix,
      webhookUrl: values.webhookUrl,
      ...Object.fromEntries(shards.map((shard, index) => [`shards[${index}].domain`, shard.domain])),
    },
    'recorder',
  );
  const numbers = Array.from({ length: instances }, (_, index) => index + 1);
  const share = Math.floor(90 / instances);
  const role: RolePart = {
    aptSources: [aptSource('jitsi', values.packageSources.jitsi)],
    packages: [
      'jibri',
      // Of one source package, hence always in step; Google's repository drops the versions that fitted.
      'chromium',
      'chromium-driver',
      'ffmpeg',
      'xvfb',
      'xauth',
      'icewm',
      'pulseaudio',
      'pulseaudio-utils',
      'libnss3-tools',
      'fonts-noto-core',
      'fonts-noto-cjk',
      'fonts-noto-color-emoji',
      // What Jibri uses and does not depend on.
      'jq',
      'procps',
      'sudo',
      'rclone',
    ],
    directories: {
      '/var/lib/jibri': { owner: 'root', group: 'root', mode: '0755' },
      ...Object.fromEntries(
        ['upload', 'stored', 'quarantine'].map((folder) => [
          `/var/lib/jibri/${folder}`,
          { owner: 'root', group: 'root', mode: '0700' },
        ]),
      ),
    },
    files: roleFiles(
      __dirname,
      {
        instances,
        shards: shards.length,
        firstExternalPort: EXTERNAL_PORT,
        firstInternalPort: INTERNAL_PORT,
        statusPort: STATUS_PORT,
        jitsiAddresses: shards.map((shard) => shard.jitsiAddress).join(', '),
        allowedUrls: JSON.stringify([...shards.map((shard) => `https://${shard.domain}`), ...SHARED_VIDEOS]),
        storeEndpoint: store.endpoint,
        storeRegion: store.region,
        storeBucket: store.bucket,
        storePrefix: store.prefix,
        planStorePort: PLAN_STORE_PORT,
        webhookUrl: values.webhookUrl,
        // All memory but a tenth is shared out.
        memoryHigh: `${Math.max(1, share - 5)}%`,
        memoryMax: `${share}%`,
      },
      [
        { path: '/usr/local/lib/platform/display-cookie', mode: '0755' },
        { path: '/usr/local/lib/platform/browser-trust', mode: '0755' },
        { path: '/usr/local/lib/platform/recording-finished', mode: '0755' },
        { path: '/usr/local/lib/platform/checks/*', mode: '0755' },
        { path: '/etc/platform/rclone.conf', mode: '0600' },
        { path: '/etc/sysctl.d/*', phase: 'before-packages' },
      ],
    ),
    units: {
      enabled: ['platform-recorder-status.service', 'platform-upload.timer', 'platform-disk-guard.timer'],
      // The package's own single instance.
      disabled: ['jibri.service', 'jibri-icewm.service', 'jibri-xorg.service'],
      masked: [],
    },
    services: [
      { unit: 'systemd-sysctl.service', files: ['/etc/sysctl.d/60-platform-recorder.conf'] },
      {
        unit: 'platform-recorder-status.service',
        files: [
          '/usr/local/sbin/platform-recorder-status',
          '/usr/local/lib/platform/instances.py',
          '/usr/local/lib/platform/upload/*',
        ],
      },
    ],
    secrets: [
      'xmpp-jibri-password',
      'xmpp-recorder-password',
      'webhook-secret',
      'store-access-key-id',
      'store-secret-access-key',
    ],
    ready: '/usr/local/sbin/platform-ready',
  };
  const logs = {
    jibri: '/var/log/jitsi/jibri/*/log.0.txt platform-jibri@*',
    upload: 'platform-upload',
    status: 'platform-recorder-status platform-disk-guard',
  };
  return hostPlanOf(
    'recorder',
    values,
    joinParts(upkeepPart(logs), role, ...numbers.map((each) => instancePart(values, each))),
  );
}
