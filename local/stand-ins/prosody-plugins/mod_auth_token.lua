-- Stand-in for tests: login with a token in the URL of BOSH or WebSocket, as Jitsi's mod_auth_token does it.

local formdecode = require "util.http".formdecode;
local new_sasl = require "util.sasl".new;
local random_uuid = require "util.uuid".generate;
local sessionmanager = require "core.sessionmanager";

local token_util = module:require "token/util".new(module);
if not token_util then return; end

-- The URL of a session's first request says its token, its room and the session that it would take up again.
local function take_query(event)
	local session, request = event.session, event.request;
	local query = request.url.query;
	local params = query and formdecode(query);
	if not params then return; end
	session.auth_token = params.token;
	session.jitsi_web_query_room = params.room;
	session.previd = params.previd;
end
module:hook_global("bosh-session", take_query);
module:hook_global("websocket-session", take_query);

local provider = {};

function provider.test_password() return nil, "Password based auth not supported"; end
function provider.get_password() return nil; end
function provider.set_password() return nil, "Set password not supported"; end
function provider.user_exists() return nil; end
function provider.create_user() return nil; end
function provider.delete_user() return nil; end

-- Whose username a login takes over: the one whose stream it says it resumes.
local function resumed_username(session)
	if not session.previd then return nil; end
	for _, each in pairs(prosody.full_sessions) do
		if each.host == module.host and each.resumption_token == session.previd then return each.username; end
	end
end

function provider.get_sasl_handler(session)
	local handler = new_sasl(module.host, { anonymous = function () return true; end });
	function handler.mechanisms() return { ANONYMOUS = true }; end
	function handler:clean_clone() return provider.get_sasl_handler(session); end -- luacheck: ignore 212/self
	function handler:select(mechanism)
		if mechanism ~= "ANONYMOUS" then return false; end
		self.selected = mechanism;
		return true;
	end
	function handler:process()
		local pre = prosody.events.fire_event("pre-jitsi-authentication-fetch-key", session);
		if pre ~= nil and pre.res == false then return "failure", pre.error, pre.reason; end
		local verified, condition, reason = token_util:process_and_verify_token(session);
		if verified == false then
			session.auth_token = nil;
			module:log("warn", "Error verifying token err:%s, reason:%s", condition, reason);
			return "failure", condition, reason;
		end
		if prosody.events.fire_event("jitsi-access-ban-check", session) == false then
			return "failure", "not-allowed", "banned";
		end
		prosody.events.fire_event("pre-jitsi-authentication", session);
		self.username = resumed_username(session) or random_uuid();
		prosody.events.fire_event("post-jitsi-authentication", session);
		return "success";
	end
	return handler;
end

-- 13 tells when a session goes on in the place of another; fields that came with the token follow, and the main
-- room of a breakout is forgotten, as with Jitsi's.
if sessionmanager.update_session then
	module:hook_global("c2s-session-updated", function (event)
		local living, new = event.session, event.from_session;
		if living.host ~= module.host then return; end
		for _, field in ipairs { "auth_token", "jitsi_meet_room", "jitsi_meet_domain", "jitsi_meet_context_user",
			"jitsi_meet_context_group", "jitsi_meet_context_features", "jitsi_meet_context_room" } do
			living[field] = new[field];
		end
		living.jitsi_breakout_main_jid = new.jitsi_breakout_main_jid;
	end);
end

module:provides("auth", provider);
