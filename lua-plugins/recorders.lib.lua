-- Recorders, as their traffic with focus shows them, and the guard against starts that nobody waits for.
--
-- When Jicofo has refused a start although a recorder was asked, it keeps that session: once that recorder leaves, it
-- begins the session on an idle one, unseen by the room and never stopped. So refused sessions are kept from recorders.

local cache = require "util.cache";
local jid = require "util.jid";
local random_id = require "util.id".medium;
local st = require "util.stanza";
local lesson = module:require "lesson";

local JIBRI = "http://jitsi.org/protocol/jibri";

local recorder_host = "recorder." .. lesson.people_host;
local brewery_host = "internal.auth." .. lesson.people_host;
local brewery = "jibribrewery@" .. brewery_host;

local refused = cache.new(4096); -- sessions
local asked = cache.new(1024); -- recorder -> session of the last start that it was asked for

local lib = { host = recorder_host };

function lib.refuse(session) refused:set(session, true); end

-- Recorders in the room leave it, which ends their recording. Whether there was one.
function lib.expel(room)
	local found = {};
	for nick, occupant in room:each_occupant() do
		if jid.host(occupant.bare_jid) == recorder_host then found[nick] = true; end
	end
	for nick in pairs(found) do room:set_role(true, nick, nil); end
	return next(found) ~= nil;
end

-- A recorder ends whatever it records; it takes that from anybody.
function lib.stop(recorder)
	module:send(st.iq { type = "set"; id = random_id(); from = module.host; to = recorder }
		:tag("jibri", { xmlns = JIBRI; action = "stop" }));
end

local function from_focus(event, to, jibri, told)
	local session, action = jibri.attr.session_id, jibri.attr.action;
	if refused:get(session) then
		module:log("info", "A refused session is not begun: %s", session);
		event.origin.send(st.reply(event.stanza):tag("jibri", {
			xmlns = JIBRI; session_id = session; status = action == "start" and "pending" or "off";
		}));
		return true;
	elseif action == "start" then
		local room = prosody.hosts[brewery_host].modules.muc.get_room_from_jid(brewery);
		local recorder = room and room:get_occupant_by_nick(to);
		if recorder then asked:set(recorder.jid, session); end
		told(jibri.attr.room, jid.resource(to), recorder and recorder.jid, session);
	end
end

-- Calls `told(room, nick, recorder or nil, session)` for each start that focus asks a recorder for.
function lib.watch(told)
	lesson.on_host("auth." .. lesson.people_host, function (host)
		host:hook("pre-iq/full", function (event)
			local stanza = event.stanza;
			local jibri = stanza:get_child("jibri", JIBRI);
			local to, from = stanza.attr.to, stanza.attr.from;
			if not jibri or stanza.attr.type ~= "set" or jid.bare(to) ~= brewery then return; end
			if lesson.is_admin(jid.bare(from)) then return from_focus(event, to, jibri, told); end
			-- It was asked, and answered too late.
			if jibri.attr.status == "on" and refused:get(asked:get(from)) then lib.stop(from); end
		end, 1);
	end);
end

return lib;
