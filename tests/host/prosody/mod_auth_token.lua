-- For tests of the host's own commands alone: HS256 tokens on BOSH, by Prosody's util.jwt. Not Jitsi's module.
local new_sasl = require "util.sasl".new;
local jwt = require "util.jwt";

local secret = module:get_option_string("app_secret");
local app_id = module:get_option_string("app_id");
local domain = module.host;

module:hook_global("bosh-session", function(event)
    local query = event.request.url.query or "";
    event.session.auth_token = query:match("token=([^&]+)");
end);

local function accepted(token)
    local ok, claims = jwt.verify(secret, token or "");
    return ok and claims.iss == app_id and claims.sub == domain and claims.exp > os.time() and claims;
end

module:provides("auth", {
    get_sasl_handler = function(session)
        local handler = new_sasl(domain, { anonymous = function() return true; end });
        local process = handler.process;
        function handler:process(message)
            local claims = accepted(session.auth_token);
            if not claims then
                return "failure", "not-allowed", "token is not valid";
            end
            session.jitsi_meet_room = claims.room;
            prosody.events.fire_event("jitsi-authentication-token-verified", { session = session; claims = claims });
            return process(self, message);
        end
        return handler;
    end;
});
