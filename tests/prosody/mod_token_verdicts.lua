-- For tests: POST tokens, one a line, and get a verdict for each, by this host's own login: 1 let in, 0 refused.

local usermanager = require "core.usermanager";

module:depends "http";

local function verdict(token)
	local session = { host = module.host; auth_token = token; log = module._log; secure = true };
	local handler = usermanager.get_sasl_handler(module.host, session);
	if not handler:select("ANONYMOUS") then return "0"; end
	return handler:process("") == "success" and "1" or "0";
end

module:provides("http", {
	route = {
		["POST /"] = function (event)
			local verdicts = {};
			for token in event.request.body:gmatch("([^\n]*)\n") do verdicts[#verdicts + 1] = verdict(token); end
			return table.concat(verdicts);
		end;
	};
});
