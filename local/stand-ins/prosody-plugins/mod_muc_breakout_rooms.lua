-- Stand-in for tests: breakout rooms take their affiliations from the main room, keep it while they are there, and
-- let in only who was in it. As in Jitsi's mod_muc_breakout_rooms; made by a moderator's `add`, without its lists.

local jid = require "util.jid";
local json = require "util.json";
local random_uuid = require "util.uuid".generate;
local st = require "util.stanza";

local main_muc = module:get_option_string("main_muc");
local breakout_muc = module:get_option_string("breakout_rooms_muc");
local main_of = {}; -- address of a breakout room -> address of its main room

local function main_room(address)
	return main_of[address] and prosody.hosts[main_muc].modules.muc.get_room_from_jid(main_of[address]);
end

local function add(event)
	local stanza = event.stanza;
	local text = stanza.attr.type ~= "error" and stanza:get_child_text("json-message", "http://jitsi.org/jitmeet");
	local said = text and json.decode(text);
	if type(said) ~= "table" or said.type ~= "features/breakout-rooms/add" then return; end
	local room = prosody.hosts[main_muc].modules.muc.get_room_from_jid(jid.bare(stanza.attr.to));
	local occupant = room and room:get_occupant_by_real_jid(stanza.attr.from);
	if not occupant or occupant.role ~= "moderator" then return true; end
	local breakout = random_uuid() .. "@" .. breakout_muc;
	main_of[breakout] = room.jid;
	room:set_persistent(true);
	room:broadcast_message(st.message { type = "groupchat"; from = room.jid }
		:tag("json-message", { xmlns = "http://jitsi.org/jitmeet" })
		:text(json.encode { type = "features/breakout-rooms/added"; jid = breakout }));
	return true;
end
module:hook("pre-message/bare", add);

local function attach_main(host)
	module:context(host):hook("muc-occupant-joined", function (event)
		if event.origin then event.origin.jitsi_breakout_main_jid = event.room.jid; end
	end);
end

local function attach_breakout(host)
	local breakout = module:context(host);
	local room_mt = prosody.hosts[host].modules.muc.room_mt;
	function room_mt.get_affiliation(room, who)
		local main = main_room(room.jid);
		return main and main:get_affiliation(who) or "none";
	end
	breakout:hook("muc-room-pre-create", function (event)
		if main_room(event.stanza.attr.to:match("^[^/]*")) then return; end
		event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed"));
		return true;
	end, 10);
	breakout:hook("muc-occupant-pre-join", function (event)
		if jid.host(event.stanza.attr.from) ~= module.host then return; end
		if event.origin.jitsi_breakout_main_jid == main_of[event.room.jid] then return; end
		event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed"));
		return true;
	end, 1);
end

-- A component's rooms are there once its mod_muc is.
for host, attach in pairs { [main_muc] = attach_main; [breakout_muc] = attach_breakout } do
	if prosody.hosts[host] then
		attach(host);
	else
		module:hook_global("host-activated", function (activated)
			if activated == host then module:add_timer(0, function () attach(host); end); end
		end);
	end
end
