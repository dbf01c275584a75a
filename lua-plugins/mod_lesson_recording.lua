-- Has lessons recorded by the server, without anybody who presses a button. Loaded on the conference component.
--
-- A room whose tokens say `lesson.recording: true` is recorded from its start (below) until its last moderator has been
-- gone for the grace time. What fails is tried again while the lesson lasts, told to the app, and to the moderators.
--
-- Options, on the component:
--   lesson_recording_start  first-moderator (default), first-person, first-two-occupants: who must be there; command:
--       a moderator starts it
--   lesson_recording_moderators_may_record  boolean, default false: a moderator may start and stop it; nobody else ever
--   lesson_recording_stop_grace     seconds after the last moderator, default 300
--   lesson_recording_retry          seconds until the first retry, doubled each time, default 5
--   lesson_recording_longest_retry  the longest time between two tries, seconds, default 30
--   lesson_recording_reply_timeout  seconds that focus has for an answer, default 120; it asks one after another
--   lesson_recording_on_timeout     seconds from that answer until the recording is on, default 120: more than Jicofo's
--       pending-timeout
--
-- Jicofo takes the room itself for a sender while its moderator checks are off; else a moderator's name is used.
-- That is why recording_gate must keep people from doing the same.

local jid = require "util.jid";
local json = require "util.json";
local lfs = require "lfs";
local random_id = require "util.id".medium;
local st = require "util.stanza";
local guard = module:require "recording_gate";
local lesson = module:require "lesson";
local recorders = module:require "recorders";

local start_at = module:get_option_string("lesson_recording_start", "first-moderator");
local may_record = module:get_option_boolean("lesson_recording_moderators_may_record", false);
local grace = module:get_option_number("lesson_recording_stop_grace", 300);
local first_retry = module:get_option_number("lesson_recording_retry", 5);
local longest_retry = module:get_option_number("lesson_recording_longest_retry", 30);
local reply_timeout = module:get_option_number("lesson_recording_reply_timeout", 120);
local on_timeout = module:get_option_number("lesson_recording_on_timeout", 120);

local folder = prosody.paths.data .. "/lesson-recordings";

local JIBRI = "http://jitsi.org/protocol/jibri";
local KEEP_DAYS = 30; -- what is known of a session, for recordings that are found later

local reasons = {
	["resource-constraint"] = "busy";
	["service-unavailable"] = "no-recorder";
	["internal-server-error"] = "refused";
	["remote-server-timeout"] = "no-answer";
	["forbidden"] = "not-allowed";
	["not-allowed"] = "not-allowed";
};
local texts = {
	busy = "Запись пока не идёт: все серверы записи заняты. Попытки продолжаются.\n"
		.. "Not recorded yet: all recorders are busy. Trying on.";
	["no-recorder"] = "Запись пока не идёт: нет работающего сервера записи. Попытки продолжаются.\n"
		.. "Not recorded yet: no recorder is there. Trying on.";
	failed = "Запись не идёт: сбой сервера записи. Попытки продолжаются.\n"
		.. "Not recorded: a recorder failed. Trying on.";
	on = "Запись идёт.\nRecording.";
};

local attempts = module:metric("counter", "attempts", "", "Starts of recordings, by what came of them", { "result" });
local running = module:metric("gauge", "running", "", "Rooms that are recorded", {}):with_labels();

local rooms = {}; -- address -> what is known of its recording

local look, drive;

local function tell(r, kind, data)
	module:fire_event("lesson-event", { type = kind; room = r.room; data = data or {} });
end

local function census(room)
	local moderators, people = 0, 0;
	for _, occupant in room:each_occupant() do
		if lesson.is_person(occupant.bare_jid) then
			people = people + 1;
			if occupant.role == "moderator" then moderators = moderators + 1; end
		end
	end
	return moderators, people;
end

local function focus_of(room)
	local occupant = room:get_occupant_by_nick(room.jid .. "/focus");
	if occupant and lesson.is_admin(occupant.bare_jid) then return occupant; end
end

local function status_in(presence)
	return presence and presence:get_child("jibri-recording-status", JIBRI);
end

local function say(room, occupant, text)
	local data = json.encode { type = "system_chat_message"; displayName = "Recording"; message = text };
	for real_jid in occupant:each_session() do
		room:route_stanza(st.message { from = room.jid; to = real_jid }
			:text_tag("json-message", data, { xmlns = "http://jitsi.org/jitmeet" }));
	end
end

local function say_to_moderators(room, text)
	for _, occupant in room:each_occupant() do
		if occupant.role == "moderator" and lesson.is_person(occupant.bare_jid) then say(room, occupant, text); end
	end
end

-- For the web client's sound and notice.
local function announce(room, requested)
	room.jitsiMetadata = room.jitsiMetadata or {};
	local recording = room.jitsiMetadata.recording or {};
	room.jitsiMetadata.recording = recording;
	if (recording.isRecordingRequested or false) == requested then return; end
	recording.isRecordingRequested = requested;
	module:fire_event("room-metadata-changed", { room = room });
end

-- A recorder whose Jibri was killed knows only the session.
local function keep(r)
	if not r.session:find("^[%w-]+$") then return; end
	local path = ("%s/%s.json"):format(folder, r.session);
	local file, problem = io.open(path .. ".new", "w");
	local ok = file and file:write(json.encode {
		lesson = (lesson.of(r.room) or {}).id or json.null;
		room = jid.node(r.room.jid);
		meeting = lesson.meeting(r.room) or json.null;
		shard = lesson.people_host;
	}, "\n");
	if file then ok = file:close() and ok; end
	if ok then ok, problem = os.rename(path .. ".new", path); end
	if not ok then module:log("error", "Session %s is not kept for later: %s", r.session, problem or "no space"); end
end

local function forget_old()
	for name in lfs.dir(folder) do
		local path = folder .. "/" .. name;
		local attributes = lfs.attributes(path);
		local age = attributes and attributes.mode == "file" and os.time() - attributes.modification or 0;
		if age > KEEP_DAYS * 86400 then os.remove(path); end
	end
	return 86400;
end

local function rest(r, name)
	if r[name] then r[name]:stop(); end
	r[name] = nil;
end

local function later(r, name, delay, action)
	rest(r, name);
	r[name] = module:add_timer(delay, function ()
		r[name] = nil;
		if rooms[r.room.jid] == r then action(); end
	end);
end

local function set_phase(r, phase)
	if (r.phase == "on") ~= (phase == "on") then running:add(phase == "on" and 1 or -1); end
	r.phase = phase;
end

-- Back to where nothing runs.
local function clear(r)
	rest(r, "watch");
	set_phase(r, "idle");
	r.session, r.recorder, r.recorder_jid, r.was_on, r.told_recorder = nil, nil, nil, false, nil;
	announce(r.room, false);
end

local function try_later(r, delay)
	r.failures = r.failures + 1;
	delay = delay or math.min(first_retry * 2 ^ math.min(r.failures - 1, 20), longest_retry);
	later(r, "retry", delay, function () drive(r); end);
end

local function failed(r, reason, problem)
	attempts:with_labels(reason):add(1);
	module:log("warn", "%s is not recorded: %s (%s), attempt %d", r.room.jid, reason, problem or "-", r.failures + 1);
	if r.told ~= reason then
		r.told = reason;
		tell(r, "recording.failed", {
			session = r.session or json.null;
			recorder = r.session and r.recorder or json.null;
			reason = reason;
			retrying = r.due;
		});
		say_to_moderators(r.room, texts[reason] or texts.failed);
	end
	clear(r);
	try_later(r);
end

local function ended(r, reason)
	if r.was_on then
		tell(r, "recording.off", {
			session = r.session;
			recorder = r.recorder or json.null;
			reason = reason or "lesson-ended";
		});
	end
	clear(r);
end

local function recording_on(r, session)
	local recorder = r.recorder;
	if r.phase == "on" and r.session == session and r.told_recorder == recorder then return; end
	if r.session ~= session then
		r.session = session;
		keep(r);
	end
	if r.phase ~= "stopping" then
		set_phase(r, "on");
		rest(r, "watch");
	end
	rest(r, "retry");
	attempts:with_labels("on"):add(1);
	r.was_on, r.told_recorder, r.failures = true, recorder, 0;
	tell(r, "recording.on", { session = session; recorder = recorder or json.null });
	if r.told then say_to_moderators(r.room, texts.on); end
	r.told, r.requested = nil, nil;
	announce(r.room, true);
	drive(r);
end

local function recording_off(r, session, failure)
	if not r.session or r.session ~= session then return; end -- the last status stays there
	if r.phase == "stopping" then
		ended(r, r.stop_reason);
	elseif r.phase == "pending" then
		return failed(r, failure and "recorder-failed" or "never-on", failure);
	elseif failure then
		return failed(r, "recorder-failed", failure);
	else
		local _, people = census(r.room);
		ended(r, people == 0 and "lesson-ended" or "ended-by-recorder");
		return try_later(r);
	end
	drive(r);
end

-- As the room itself, or, where Jicofo checks for moderators, as one of them; nil when there is none.
local function sender(r)
	if not r.as_moderator then return r.room.jid; end
	for nick, occupant in r.room:each_occupant() do
		if occupant.role == "moderator" and lesson.is_person(occupant.bare_jid) then return nick; end
	end
end

local function send_to_focus(r, from, attributes)
	attributes.xmlns, attributes.recording_mode = JIBRI, "file";
	return module:send_iq(st.iq { type = "set"; id = random_id(); from = from; to = focus_of(r.room).jid }
		:tag("jibri", attributes), nil, reply_timeout);
end

-- A moderator who pressed the button gets the answer to the first try.
local function answer(r, session, condition)
	local command = r.command;
	r.command = nil;
	if not command then return; end
	local kind = (condition == "forbidden" and "auth") or (condition == "not-allowed" and "cancel") or "wait";
	command.origin.send(session
		and st.reply(command.stanza):tag("jibri", { xmlns = JIBRI; session_id = session })
		or st.error_reply(command.stanza, kind, condition));
end

local function ask(r)
	local status = status_in(focus_of(r.room):get_presence());
	if status and status.attr.status == "on" then return recording_on(r, status.attr.session_id); end
	local from = sender(r);
	if not from then return failed(r, "not-allowed", "no moderator is there"); end
	set_phase(r, "asking");
	recorders.expel(r.room); -- left over from a focus that is gone
	r.asked = {};
	if not r.requested then tell(r, "recording.requested"); end
	r.requested = true;
	send_to_focus(r, from, {
		action = "start";
		app_data = json.encode { file_recording_metadata = {
			share = true;
			lesson = (lesson.of(r.room) or {}).id;
			room = jid.node(r.room.jid);
		} };
	}):next(function (event)
		if rooms[r.room.jid] ~= r or r.phase ~= "asking" then return; end
		local jibri = event.stanza:get_child("jibri", JIBRI);
		r.session = jibri and jibri.attr.session_id or "unknown";
		set_phase(r, "pending");
		keep(r);
		answer(r, r.session);
		announce(r.room, true);
		later(r, "watch", on_timeout, function ()
			send_to_focus(r, from, { action = "stop" }):catch(function () end);
			failed(r, "never-on", "focus said nothing");
		end);
		drive(r);
	end, function (problem)
		local condition = problem.condition;
		-- An answer that did not come may still be a good one.
		if condition ~= "remote-server-timeout" then
			for session in pairs(r.asked) do recorders.refuse(session); end
		end
		if rooms[r.room.jid] ~= r or r.phase ~= "asking" then return; end
		if condition == "forbidden" and not r.as_moderator then
			r.as_moderator = true;
			set_phase(r, "idle");
			return drive(r);
		end
		answer(r, nil, condition);
		if condition == "unexpected-request" or (condition == "item-not-found" and r.failures < 10) then
			-- One runs already, which the room is told soon; or focus is not ready yet.
			set_phase(r, "idle");
			return try_later(r, 1);
		end
		failed(r, reasons[condition] or "other", condition);
	end);
end

local function stop(r)
	local was = r.phase;
	local from = sender(r);
	set_phase(r, "stopping");
	rest(r, "watch");
	local function again()
		if r.phase ~= "stopping" then return; end
		set_phase(r, was);
		drive(r);
	end
	later(r, "watch", reply_timeout, again);
	-- Nobody whom focus would listen to: the recorder is shown out, which ends it as well.
	if not from then recorders.expel(r.room); return; end
	send_to_focus(r, from, { action = "stop" }):next(function () end, function (problem)
		if rooms[r.room.jid] ~= r or r.phase ~= "stopping" then return; end
		module:log("warn", "The recording of %s is not stopped: %s", r.room.jid, problem.condition);
		if problem.condition == "item-not-found" then
			ended(r, r.stop_reason);
			return drive(r);
		end
		if problem.condition == "forbidden" then r.as_moderator = true; end
		later(r, "watch", 1, again);
	end);
end

-- Does what is to be done next, if anything.
function drive(r)
	local _, people = census(r.room);
	if not focus_of(r.room) then return; end
	if r.phase == "idle" then
		if r.due and people > 0 and not r.retry then ask(r); end
	elseif (r.phase == "on" or r.phase == "pending") and not r.due then
		stop(r);
	end
end

local function not_due(r, reason)
	r.due, r.stop_reason, r.told, r.requested, r.failures = false, reason, nil, nil, 0;
	rest(r, "grace");
	rest(r, "retry");
	drive(r);
end

local begins = {
	["first-moderator"] = function (moderators) return moderators > 0; end;
	["first-two-occupants"] = function (_, people) return people > 1; end;
	["first-person"] = function (_, people) return people > 0; end;
	command = function () return false; end;
};
local begun = begins[start_at];
if not begun then
	module:log("error", "lesson_recording_start is %q; expected one of first-moderator, first-two-occupants, "
		.. "first-person, command. first-moderator is used", start_at);
	begun = begins["first-moderator"];
end

-- Who is in the room has changed.
function look(r)
	local moderators, people = census(r.room);
	local claim = lesson.of(r.room);
	if moderators > 0 then
		r.taught = true;
		rest(r, "grace");
	elseif r.due and not r.grace and (r.taught or people == 0) then
		later(r, "grace", grace, function () not_due(r, "lesson-ended"); end);
	end
	-- Once a moderator was there, it begins again only with one.
	if not r.due and not r.halted and claim and claim.recording
		and begun(moderators, people) and (moderators > 0 or not r.taught) then
		r.due = true;
	end
	drive(r);
end

local function state_of(room)
	local r = rooms[room.jid];
	if not r then
		r = { room = room; phase = "idle"; failures = 0 };
		rooms[room.jid] = r;
	end
	return r;
end

module:hook("muc-occupant-joined", function (event)
	local room, occupant = event.room, event.occupant;
	if lesson.is_person(occupant.bare_jid) then
		if lesson.is_health_check(room) then return; end
		local r = state_of(room);
		if r.told and occupant.role == "moderator" then say(room, occupant, texts[r.told] or texts.failed); end
		look(r);
	elseif lesson.is_admin(occupant.bare_jid) and rooms[room.jid] then
		-- Focus is back, and knows of nothing; it takes requests a moment later.
		later(rooms[room.jid], "retry", 1, function () look(rooms[room.jid]); end);
	end
end, -20);

module:hook("muc-set-affiliation", function (event)
	if rooms[event.room.jid] then look(rooms[event.room.jid]); end
end, -1);

module:hook("muc-occupant-left", function (event)
	local room, occupant = event.room, event.occupant;
	local r = rooms[room.jid];
	if not r or room.destroying then return; end
	if not lesson.is_admin(occupant.bare_jid) then
		if lesson.is_person(occupant.bare_jid) then look(r); end
		return;
	end
	-- Focus is gone and tells its recorder nothing: it would record on, and another one beside it.
	if r.phase ~= "idle" then
		if not recorders.expel(room) and r.recorder_jid then recorders.stop(r.recorder_jid); end
		local _, people = census(room);
		ended(r, people == 0 and "lesson-ended" or "focus-lost");
	end
end);

module:hook("muc-room-destroyed", function (event)
	local r = rooms[event.room.jid];
	if not r then return; end
	ended(r, "room-destroyed");
	for _, name in ipairs { "grace", "retry", "watch" } do rest(r, name); end
	rooms[event.room.jid] = nil;
end);

module:hook("muc-broadcast-presence", function (event)
	local r = rooms[event.room.jid];
	if not r or event.occupant.role == nil or not lesson.is_admin(event.occupant.bare_jid) then return; end
	local status = status_in(event.stanza);
	if not status then return; end
	if status.attr.status == "on" then recording_on(r, status.attr.session_id); end
	if status.attr.status == "off" then recording_off(r, status.attr.session_id, status.attr.failure_reason); end
end);

-- A moderator's own start or stop.
guard(may_record, function (origin, stanza, room, action)
	local r = state_of(room);
	if action == "stop" then
		if r.phase == "idle" and not r.due then
			origin.send(st.error_reply(stanza, "cancel", "item-not-found"));
		else
			origin.send(st.reply(stanza));
			r.halted = true;
			not_due(r, "stopped");
		end
	elseif r.phase ~= "idle" then
		origin.send(st.error_reply(stanza, "wait", "unexpected-request"));
	else
		r.halted, r.due, r.taught, r.command = false, true, true, { origin = origin; stanza = stanza };
		rest(r, "retry");
		drive(r);
		if r.phase ~= "asking" then
			answer(r, nil, r.phase == "idle" and "resource-constraint" or "unexpected-request");
		end
	end
end);

recorders.watch(function (room, nick, recorder, session)
	local r = rooms[room];
	if not r then return; end
	r.recorder, r.recorder_jid = nick, recorder;
	if r.phase == "asking" then r.asked[session] = true; end
end);

lfs.mkdir(folder);
module:add_timer(0, forget_old);
