-- What the lesson modules share: which lesson a room belongs to, and who in it is a person.
--
-- The claim `lesson: { id, recording }`, top level of a verified token, is set by the school's app alone. A room's
-- lesson is that of the first person whose token names one; it is recorded when any such token asks for it.

local jid = require "util.jid";
local sessionmanager = require "core.sessionmanager";

local people_host = module:get_option_string("muc_mapper_domain_base") or module.host:match("^[^.]+%.(.+)$");
local admins = module:get_option_inherited_set("admins", {}) / jid.prep;

-- It becomes part of an object's name in the store.
local LESSON_ID = "^[%w][%w._-]*$";

local lib = { people_host = people_host };

module:hook_global("jitsi-authentication-token-verified", function (event)
	local claim = event.claims.lesson;
	if type(claim) ~= "table" then return; end
	local id = claim.id;
	if type(id) ~= "string" or #id > 128 or not id:find(LESSON_ID) then
		module:log("error", "A token's lesson.id is not 1 to 128 of letters, digits, . _ - (first no sign): %q", id);
		id = nil;
	end
	event.session.lesson = { id = id; recording = claim.recording == true };
end);

if sessionmanager.update_session then -- Prosody 13: a resumed stream lives on with its new token
	module:hook_global("c2s-session-updated", function (event)
		event.session.lesson = event.from_session.lesson;
	end);
end

-- Neither focus, nor a recorder, nor a gateway.
function lib.is_person(bare)
	return jid.host(bare) == people_host;
end

function lib.is_admin(bare)
	return admins:contains(bare);
end

-- Rooms in which Jicofo checks its health, and the platform its tokens.
function lib.is_health_check(room)
	local name = jid.node(room.jid);
	return name:find("^__jicofo%-health%-check") ~= nil or name:find("^platform%-check") ~= nil;
end

-- { id or nil, recording } of a room; nil when no token in it named a lesson.
function lib.of(room)
	return room._data.lesson;
end

function lib.meeting(room)
	return room._data.meetingId;
end

-- Calls `setup` with a host's module API, once the host is there.
function lib.on_host(host, setup)
	if prosody.hosts[host] then return setup(module:context(host)); end
	module:hook_global("host-activated", function (name)
		if name == host then setup(module:context(host)); end
	end);
end

module:hook("muc-occupant-joined", function (event)
	local room, claim = event.room, event.origin and event.origin.lesson;
	if not claim or not lib.is_person(event.occupant.bare_jid) then return; end
	local lesson = room._data.lesson or {};
	room._data.lesson = lesson;
	if lesson.id and claim.id and claim.id ~= lesson.id then
		module:log("warn", "%s is the room of lesson %s; a token names %s", room.jid, lesson.id, claim.id);
	end
	lesson.id = lesson.id or claim.id;
	lesson.recording = lesson.recording or claim.recording;
end, 10);

return lib;
