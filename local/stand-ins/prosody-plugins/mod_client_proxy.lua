-- Stand-in for tests: what is asked of this component goes to a logged-in account, and its answers back, as with
-- Jitsi's mod_client_proxy. It takes any session of the account; Jitsi's takes what the account's roster shows.

local jid = require "util.jid";
local random_id = require "util.id".medium;
local st = require "util.stanza";

local target = module:get_option_string("target_address");
local clients = {}; -- name of a client towards the target -> { from, id, time }

local function target_session()
	local account = prosody.bare_sessions[target];
	for _, session in pairs(account and account.sessions or {}) do
		if session.presence then return session; end
	end
end

local function forget_old()
	for name, client in pairs(clients) do
		if os.time() - client.time > 60 then clients[name] = nil; end
	end
end

local function hand_back(stanza)
	local name = jid.resource(stanza.attr.to);
	local client = clients[name];
	if not client or jid.bare(stanza.attr.from) ~= target then return; end
	clients[name] = nil;
	local answer = st.clone(stanza);
	answer.attr.from, answer.attr.to, answer.attr.id = module.host, client.from, client.id;
	module:send(answer);
end

module:hook("iq/host", function (event)
	local origin, stanza = event.origin, event.stanza;
	if stanza.attr.type ~= "set" and stanza.attr.type ~= "get" then
		hand_back(stanza);
		return true;
	end
	local session = target_session();
	if not session then
		origin.send(st.error_reply(stanza, "wait", "service-unavailable"));
		return true;
	end
	forget_old();
	local name = random_id();
	clients[name] = { from = stanza.attr.from; id = stanza.attr.id; time = os.time() };
	local request = st.clone(stanza);
	request.attr.from, request.attr.to, request.attr.id = jid.join(nil, module.host, name), session.full_jid, name;
	module:send(request);
	return true;
end, -1);
