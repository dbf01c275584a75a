-- Stand-in for tests: no room is listed, as with Jitsi's mod_muc_hide_all.

module:hook("muc-room-pre-create", function (event) event.room:set_public(false); end, -1);
module:hook("muc-config-submitted/muc#roomconfig_publicroom", function () return true; end, 99);
