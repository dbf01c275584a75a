-- Stand-in for tests: a members-only room has a lobby, whoever is inside when it starts stays, listed logins pass. As
-- in Jitsi's mod_muc_lobby_rooms, without the messages to those inside.

local jid = require "util.jid";
local st = require "util.stanza";

local main_muc = module:get_option_string("main_muc");
local lobby_muc = module:get_option_string("lobby_muc");
local whitelist = module:get_option_set("muc_lobby_whitelist", {});

local function lobby_of(room) return jid.join(jid.node(room.jid), lobby_muc); end

local function attach(host)
	local main = module:context(host);

	main:hook("muc-config-submitted/muc#roomconfig_membersonly", function (event)
		if not event.value then return; end
		for _, occupant in event.room:each_occupant() do
			if (event.room:get_affiliation(occupant.bare_jid) or "none") == "none" then
				event.room:set_affiliation(true, occupant.bare_jid, "member");
			end
		end
		local lobby = prosody.hosts[lobby_muc].modules.muc;
		if not lobby.get_room_from_jid(lobby_of(event.room)) then lobby.create_room(lobby_of(event.room)); end
	end, 10);

	main:hook("muc-occupant-pre-join", function (event)
		local room, bare = event.room, jid.bare(event.stanza.attr.from);
		if not room:get_members_only() or not (whitelist:contains(bare) or whitelist:contains(jid.host(bare))) then
			return;
		end
		if (room:get_affiliation(bare) or "none") == "none" then
			event.occupant.role = "participant";
			room:set_affiliation(true, bare, "member");
		end
	end, -3);

	main:hook("muc-occupant-pre-join", function (event)
		local room, stanza = event.room, event.stanza;
		if not room:get_members_only() then return; end
		if (room:get_affiliation(stanza.attr.from) or "none") ~= "none" then return; end
		event.origin.send(st.error_reply(stanza, "auth", "registration-required", nil, lobby_muc):up()
			:tag("lobbyroom", { xmlns = "http://jitsi.org/jitmeet" }):text(lobby_of(room)));
		return true;
	end, -4);
end

if prosody.hosts[main_muc] then
	attach(main_muc);
else
	module:hook_global("host-activated", function (host) if host == main_muc then attach(host); end end);
end
