-- Stand-in for tests: a meeting id for each room, nobody in before focus is, kicked people are forgotten; loads
-- jitsi_permissions. As Jitsi's mod_muc_meeting_id does it.

local jid = require "util.jid";
local st = require "util.stanza";
local random_uuid = require "util.uuid".generate;

module:depends "jitsi_permissions";

local admins = module:get_option_inherited_set("admins", {}) / jid.prep;
local waiting = setmetatable({}, { __mode = "k" }); -- room -> joins

module:hook("muc-room-created", function (event) event.room._data.meetingId = random_uuid(); end);

local function has_focus(room)
	for _, occupant in room:each_occupant() do
		if admins:contains(occupant.bare_jid) then return true; end
	end
	return false;
end

module:hook("muc-occupant-pre-join", function (event)
	local room = event.room;
	if admins:contains(jid.bare(event.stanza.attr.from)) or has_focus(room) then return; end
	waiting[room] = waiting[room] or {};
	table.insert(waiting[room], event);
	return true;
end, 8);

module:hook("muc-occupant-joined", function (event)
	local room = event.room;
	if not waiting[room] or not has_focus(room) then return; end
	local joins = waiting[room];
	waiting[room] = nil;
	for _, join in ipairs(joins) do room:handle_normal_presence(join.origin, join.stanza); end
end, -1);

-- Nobody takes from focus what it is.
module:hook("iq-set/bare/http://jabber.org/protocol/muc#admin:query", function (event)
	for item in event.stanza.tags[1]:childtags("item") do
		if item.attr.jid and admins:contains(jid.bare(item.attr.jid)) then
			event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed"));
			return true;
		end
	end
end, 10);

-- Who is kicked loses what was stored for them.
module:hook("muc-broadcast-presence", function (event)
	if event.occupant.role ~= nil or not event.x then return; end
	for status in event.x:childtags("status") do
		if status.attr.code == "307" then event.room:set_affiliation(true, event.occupant.bare_jid, "none"); end
	end
end);
