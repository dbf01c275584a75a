-- Tells the school's app what happens in its lessons: signed webhooks, in order, each until the app has taken it.
-- Loaded on the conference component. What they hold: contracts/events.
--
-- Options, on the component:
--   lesson_events_url          where they are sent by POST; without it nothing is told
--   lesson_events_secret_file  the key that signs them, default /etc/prosody/secrets/webhook-secret; read each time
--   lesson_events_limit        how many may wait, default 20000; what comes beyond is dropped, which leaves a gap in
--       the sequence, is logged and counted
--   lesson_events_retry        the longest time between two tries, seconds, default 60; the first comes after 1
--   lesson_events_timeout      how long the app may take for an answer, seconds, default 30
--
-- Other modules tell theirs by the component's event "lesson-event": { type, room, data }.
--
-- The queue is one file below data_path, written to the system before anything is sent. It survives an end of
-- Prosody at any moment; a power cut may take what the file system had not written yet (seconds).

local base64 = require "util.encodings".base64;
local hmac_sha256 = require "util.hashes".hmac_sha256;
local http = require "net.http";
local jid = require "util.jid";
local json = require "util.json";
local lfs = require "lfs";
local random_id = require "util.id".long;
local time_now = require "util.time".now;
local lesson = module:require "lesson";

local url = module:get_option_string("lesson_events_url");
local secret_file = module:get_option_string("lesson_events_secret_file", "/etc/prosody/secrets/webhook-secret");
local limit = module:get_option_number("lesson_events_limit", 20000);
local longest_retry = module:get_option_number("lesson_events_retry", 60);
local timeout = module:get_option_number("lesson_events_timeout", 30);

local TEXT_LIMIT = 8192; -- bytes of a chat message
local COMPACT = 4 * 1024 * 1024; -- bytes of the file that may be of no use

local waiting = module:metric("gauge", "waiting", "", "Events that the app has not taken yet", {}):with_labels();
local dropped = module:metric("counter", "dropped", "", "Events that found no place in the queue", {}):with_labels();
local refused = module:metric("counter", "refused", "", "Requests without a 2xx", {}):with_labels();

-- The queue: events first..last, of which first is being sent.
local queue, first, last = {}, 1, 0;
local sequence, lost = 0, 0;
local folder = prosody.paths.data .. "/lesson-events";
local path = folder .. "/queue.jsonl";
local file, size, useless, torn;

local function say_waiting() waiting:set(last - first + 1); end

local function append(record)
	local line = json.encode(record) .. "\n";
	-- After a half-written line the next one must not become part of it.
	local ok, problem = file and file:write(torn and "\n" or "", line);
	if ok then ok, problem = file:flush(); end
	if ok then size, torn = size + #line, false; return #line; end
	if not torn then module:log("error", "Events are kept in memory alone, %s: %s", path, problem or "not open"); end
	torn = true;
	return 0;
end

local function open()
	local problem;
	file, problem = io.open(path, "a");
	if not file then module:log("error", "No file for events: %s", problem); end
end

-- Writes the file anew with what still counts.
local function compact()
	if file then file:close(); end
	local problem;
	file, problem = io.open(path .. ".new", "w");
	if not file then module:log("error", "No file for events: %s", problem); return open(); end
	size, useless, torn = 0, 0, false;
	append { delivered = first <= last and queue[first].sequence - 1 or sequence };
	for index = first, last do queue[index].bytes = append(queue[index].record); end
	local ok = file:close() and not torn;
	if ok then ok, problem = os.rename(path .. ".new", path); end
	if not ok then module:log("error", "The file of events is not written anew: %s", problem or "no space"); end
	open();
end

local function read()
	lfs.mkdir(folder);
	local old = io.open(path);
	for line in old and old:lines() or function () end do
		local record = json.decode(line);
		if type(record) ~= "table" then
			if line ~= "" then module:log("warn", "A half-written event was left out"); end
		elseif record.delivered then
			sequence = math.max(sequence, record.delivered);
			while first <= last and queue[first].sequence <= record.delivered do
				queue[first], first = nil, first + 1;
			end
		else
			last, sequence = last + 1, record.sequence;
			queue[last] = { sequence = record.sequence; record = record };
		end
	end
	if old then old:close(); end
	compact();
	say_waiting();
end

local function secret()
	local source, problem = io.open(secret_file);
	local text = source and source:read("*a"):gsub("%s+$", "");
	if source then source:close(); end
	if text and text ~= "" then return text; end
	return nil, problem or "it is empty";
end

local sending, failures, over = false, 0, false;
local deliver;

local function delivered()
	local item = queue[first];
	queue[first], first = nil, first + 1;
	useless = useless + (item.bytes or 0) + append { delivered = item.sequence };
	if first > last then queue, first, last = {}, 1, 0; end
	if useless > COMPACT and useless > size / 2 then compact(); end
	say_waiting();
	if failures > 0 then module:log("info", "The app takes events again, %d wait", last - first + 1); end
	failures = 0;
	deliver();
end

local function failed(why)
	failures = failures + 1;
	refused:add(1);
	-- The first, and then ever more seldom.
	if math.log(failures, 2) % 1 == 0 then
		module:log("warn", "The app took no event, %d times now: %s; %d wait", failures, why, last - first + 1);
	end
	sending = true;
	module:add_timer(math.min(2 ^ math.min(failures - 1, 20), longest_retry), function ()
		sending = false;
		deliver();
	end);
end

function deliver()
	if sending or over or first > last then return; end
	local key, problem = secret();
	if not key then return failed("no secret: " .. problem); end
	sending = true;
	local record = queue[first].record;
	local timestamp = ("%d"):format(os.time());
	local signed = record.id .. "." .. timestamp .. "." .. record.body;
	local timer, request;
	local function settle(code, why)
		if not timer then return; end
		timer:stop();
		timer, sending = nil, false;
		if over then return; end
		if code >= 200 and code < 300 then return delivered(); end
		failed(why);
	end
	timer = module:add_timer(timeout, function ()
		settle(0, "no answer within " .. timeout .. " s");
		if request then http.destroy_request(request); end
	end);
	request = http.request(url, {
		method = "POST";
		body = record.body;
		headers = {
			["Content-Type"] = "application/json";
			["webhook-id"] = record.id;
			["webhook-timestamp"] = timestamp;
			["webhook-signature"] = "v1," .. base64.encode(hmac_sha256(key, signed));
		};
	}, function (reason, code)
		settle(code, code > 0 and "HTTP " .. ("%d"):format(code) or tostring(reason));
	end);
end

local function moment()
	local now = time_now();
	return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(now)) .. (".%03dZ"):format(math.floor(now % 1 * 1000));
end

-- Tells one event. What is nil in a room's facts is null for the app.
local function tell(kind, room, data)
	if not url or lesson.is_health_check(room) then return; end
	sequence = sequence + 1;
	if last - first + 1 >= limit then
		lost = lost + 1;
		dropped:add(1);
		if lost == 1 then module:log("error", "%d events wait, more are dropped until the app takes some", limit); end
		return;
	end
	if lost > 0 then module:log("error", "%d events were dropped", lost); end
	lost = 0;
	data = data or {};
	data.shard, data.sequence, data.room = lesson.people_host, sequence, jid.node(room.jid);
	data.lesson = (lesson.of(room) or {}).id or json.null;
	data.meeting = lesson.meeting(room) or json.null;
	local record = {
		id = "msg_" .. random_id();
		sequence = sequence;
		body = json.encode { type = kind; timestamp = moment(); data = data };
	};
	last = last + 1;
	queue[last] = { sequence = sequence; record = record; bytes = append(record) };
	say_waiting();
	deliver();
end

local people = {}; -- room address with nick -> what is told of that occupant

local function describe(occupant, session)
	local user = session and session.jitsi_meet_context_user;
	return {
		id = jid.resource(occupant.nick);
		role = occupant.role;
		user = user and type(user.id) == "string" and {
			id = user.id;
			name = type(user.name) == "string" and user.name or json.null;
		} or json.null;
	};
end

-- A room begins for the app when the first person is in it: focus is there before, and in rooms of its own.
module:hook("muc-occupant-joined", function (event)
	local room, occupant = event.room, event.occupant;
	if not lesson.is_person(occupant.bare_jid) then return; end
	if not room._data.lesson_told then
		room._data.lesson_told = true;
		tell("room.created", room);
	end
	local person = describe(occupant, event.origin);
	people[occupant.nick] = person;
	tell("occupant.joined", room, { occupant = person });
end, -10);

module:hook("muc-occupant-left", function (event)
	local person = people[event.occupant.nick];
	if not person then return; end
	people[event.occupant.nick] = nil;
	tell("occupant.left", event.room, { occupant = person });
end, 10); -- before the room ends with its last occupant (-1)

module:hook("muc-room-destroyed", function (event)
	if event.room._data.lesson_told then tell("room.destroyed", event.room); end
end, -10);

-- After all that may refuse or change it.
module:hook("muc-broadcast-message", function (event)
	local stanza = event.stanza;
	local person, text = people[stanza.attr.from], stanza:get_child_text("body");
	if not person or not text or text == "" or stanza.attr.type ~= "groupchat" then return; end
	local cut = #text > TEXT_LIMIT;
	-- Not within a character.
	if cut then text = text:sub(1, TEXT_LIMIT):gsub("[\192-\255][\128-\191]*$", ""); end
	tell("chat.message", event.room, { occupant = person; text = text; truncated = cut });
end, -100);

module:hook("lesson-event", function (event) tell(event.type, event.room, event.data); end);

function module.unload()
	over = true;
	if file then file:close(); end
	file = nil;
end

if url then
	read();
	module:add_timer(0, deliver);
end
