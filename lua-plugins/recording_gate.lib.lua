-- People neither start nor stop what the server records: their requests go nowhere, on any road, and nobody shows the
-- recorder out. Where moderators may, a moderator's request goes on: first to filter_iq_jibri (0), which wants the
-- feature in the token, then to the module.

local jid = require "util.jid";
local st = require "util.stanza";
local lesson = module:require "lesson";
local recorders = module:require "recorders";

local JIBRI = "http://jitsi.org/protocol/jibri";

local function request_in(stanza)
	local kind = stanza.attr.type;
	return (kind == "set" or kind == "get") and stanza:get_child("jibri", JIBRI);
end

-- The room that a moderator in it asks the focus of.
local function room_of_moderator(stanza)
	local room = prosody.hosts[module.host].modules.muc.get_room_from_jid(jid.bare(stanza.attr.to));
	local occupant = room and room:get_occupant_by_real_jid(stanza.attr.from);
	if occupant and occupant.role == "moderator" and stanza.attr.to == room.jid .. "/focus" then return room; end
end

local function may_go_on(stanza, jibri)
	local action, mode = jibri.attr.action, jibri.attr.recording_mode;
	return stanza.attr.type == "set" and (action == "stop" or (action == "start" and mode == "file"))
		and room_of_moderator(stanza) ~= nil;
end

local function is_by_person(bare, actor)
	return jid.host(bare) == recorders.host and actor and not lesson.is_admin(jid.bare(actor));
end

module:hook("muc-pre-set-role", function (event)
	if not is_by_person(event.occupant.bare_jid, event.actor) then return; end
	event.allowed, event.error, event.condition = false, "cancel", "not-allowed";
	return true;
end, 60);

module:hook("muc-pre-set-affiliation", function (event)
	if not is_by_person(event.jid, event.actor) then return; end
	event.allowed, event.error = false, { type = "cancel"; condition = "not-allowed" };
	return true;
end, 60);

-- moderators: whether they may; command: called with (origin, stanza, room, action), answers the stanza.
return function (moderators, command)
	local function gate(event)
		local jibri = request_in(event.stanza);
		if not jibri or (moderators and may_go_on(event.stanza, jibri)) then return; end
		module:log("info", "%s may not %s a recording", event.stanza.attr.from, jibri.attr.action or "ask about");
		event.origin.send(st.error_reply(event.stanza, "auth", "forbidden"));
		return true;
	end
	local function take(event)
		local jibri = request_in(event.stanza);
		local room = jibri and room_of_moderator(event.stanza);
		if not room then return; end
		command(event.origin, event.stanza, room, jibri.attr.action);
		return true;
	end
	lesson.on_host(lesson.people_host, function (host)
		for _, kind in ipairs { "full", "bare", "host" } do host:hook("pre-iq/" .. kind, gate, 1); end
		if moderators then host:hook("pre-iq/full", take, -1); end
	end);
end;
