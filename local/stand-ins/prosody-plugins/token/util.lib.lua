-- Stand-in for tests: what a token gives a session, and which room it opens, as Jitsi's token/util does it.

local jid = require "util.jid";
local jwt = module:require "token/jwt";

local Util = {};
Util.__index = Util;

-- Options are read from the module that loads this.
function Util.new(module)
	local self = setmetatable({}, Util);
	self.app_id = module:get_option_string("app_id");
	self.app_secret = module:get_option_string("app_secret");
	self.algorithm = module:get_option_string("signature_algorithm", "HS256");
	-- Jitsi fetches keys of RS256 tokens by their kid from a server; here one key lies in a file.
	local key_file = module:get_option_string("asap_key_file");
	local file = key_file and io.open(key_file);
	if file then
		self.asap_key = file:read("*a");
		self.algorithm = "RS256";
		file:close();
	end
	self.allow_empty = module:get_option_boolean("allow_empty_token", false);
	self.issuers = module:get_option_array("asap_accepted_issuers", { self.app_id });
	self.audiences = module:get_option_array("asap_accepted_audiences", { "*" });
	self.verify_domain = module:get_option_boolean("enable_domain_verification", true);
	self.domain_base = module:get_option_string("muc_mapper_domain_base");
	self.prefix = module:get_option_string("muc_mapper_domain_prefix", "conference");
	if not (self.app_secret or self.asap_key) then
		module:log("error", "'app_secret' or a key must be given");
		return nil;
	end
	return self;
end

-- true, or false, the SASL condition and a text.
function Util:process_and_verify_token(session)
	if session.auth_token == nil then
		if self.allow_empty then return true; end
		return false, "not-allowed", "token required";
	end
	local parts, malformed = jwt.decode(session.auth_token);
	if not parts then return false, "not-allowed", malformed; end
	if parts.header.kid ~= nil and self.algorithm:sub(1, 2) ~= "RS" then
		return false, "not-allowed", "'kid' claim is accepted with RS algorithms only";
	end
	local key = session.public_key or self.asap_key or self.app_secret;
	local claims, problem = jwt.verify(parts, self.algorithm, key, self.issuers, self.audiences);
	if not claims then return false, "not-allowed", problem; end

	session.jitsi_meet_room = claims.room:lower(); -- without that claim: an error, as with Jitsi's
	session.jitsi_meet_domain = claims.sub and claims.sub:lower();
	local context = claims.context;
	if context then
		if context.user then
			-- Jitsi's takes the avatar for a string and fails on anything else.
			session.jitsi_meet_context_user = {
				id = context.user.id;
				name = context.user.name;
				email = context.user.email;
				avatar = context.user.avatar and context.user.avatar:sub(1);
				affiliation = context.user.affiliation;
				moderator = context.user.moderator;
			};
		end
		session.jitsi_meet_context_group = context.group;
		session.jitsi_meet_context_features = context.features;
		session.jitsi_meet_context_room = context.room;
	end
	prosody.events.fire_event("jitsi-authentication-token-verified", { session = session; claims = claims });
	return true;
end

-- Whether the session's token opens this room. A session without one was let in by allow_empty_token.
function Util:verify_room(session, room_address)
	if session.auth_token == nil then return self.allow_empty; end
	local room, domain = jid.split(room_address);
	if not room or not session.jitsi_meet_room then return false; end
	if session.jitsi_meet_room ~= "*" and session.jitsi_meet_room ~= room then return false; end
	if not self.verify_domain or session.jitsi_meet_domain == "*" then return true; end
	return domain == ("%s.%s"):format(self.prefix, session.jitsi_meet_domain or "");
end

return Util;
