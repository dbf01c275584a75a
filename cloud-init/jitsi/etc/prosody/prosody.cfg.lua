-- What Prosody is on this host, apart from the domain's own file in conf.d.
-- A conffile of the package prosody, replaced whole: Debian's own also speaks to other servers,
-- lets people register, and adds a host named localhost.

plugin_paths = { "/usr/local/lib/prosody/platform/", "/usr/share/jitsi-meet/prosody-plugins/" }

modules_enabled = {
    "disco";
    "roster"; -- Jicofo's roster holds the focus component
    "saslauth";
    "tls";
    "ping";
    "time";
    "uptime";
    "limits";
    "admin_shell"; -- `prosodyctl shell`: module reload, room list
    "posix";
    "http_openmetrics"; -- counters of our modules too: curl http://127.0.0.1:5280/metrics
}

-- Collected when somebody asks.
statistics = "internal"
statistics_interval = "manual"

-- One server, no federation.
modules_disabled = { "s2s" }

authentication = "internal_hashed"
allow_registration = false

-- 5222 is open on all addresses, since the private one may attach late; the host's firewall guards it.
c2s_ports = { 5222 }
-- BOSH and WebSocket are reached through nginx alone.
http_ports = { 5280 }
http_interfaces = { "127.0.0.1", "::1" }
https_ports = {}
trusted_proxies = { "127.0.0.1", "::1" }

-- A recorder or bridge that vanishes without a word is noticed after twice this time. mod_limits must
-- not hold its connection, see unlimited_jids in the domain's file.
network_settings = { read_timeout = 40 }
-- A held BOSH request must end before that timeout.
bosh_max_wait = 30

limits = {
    c2s = { rate = "512kb/s" };
}

ssl = {
    protocol = "tlsv1_2+";
}
certificates = "certs"

pidfile = "/run/prosody/prosody.pid"
log = {
    info = "/var/log/prosody/prosody.log";
    error = "/var/log/prosody/prosody.err";
    { levels = { "error" }; to = "syslog" };
}

Include "conf.d/*.cfg.lua"
