-- Two JWT secrets for a while: a token signed with either verifies, and neither needs a reload. Loaded on the host
-- with token login.
--
-- The secrets lie in files, which are looked at anew at each login. The previous one counts until its file is older
-- than the window; whoever rotates writes it at that moment. A file that is missing or empty holds no secret.
--
-- Options, on the host:
--   token_rotation_secret_file           the secret in force, default /etc/prosody/secrets/jwt-secret
--   token_rotation_previous_secret_file  the one before it, default /etc/prosody/secrets/jwt-secret-previous
--   token_rotation_window_hours          how long the previous one counts, hours, 0 or more, default 24
--
-- Only HS256 is looked at. What neither secret signed is left to the token module, which refuses it.

local base64 = require "util.encodings".base64;
local hashes = require "util.hashes";
local json = require "util.json";
local lfs = require "lfs";

local secret_file = module:get_option_string("token_rotation_secret_file", "/etc/prosody/secrets/jwt-secret");
local previous_file = module:get_option_string("token_rotation_previous_secret_file",
	"/etc/prosody/secrets/jwt-secret-previous");
local window = module:get_option_number("token_rotation_window_hours", 24) * 3600;

local known = {}; -- path -> { version, secret, modified }

-- The secret in a file and when it was written (seconds since 1970); nothing when there is none.
local function read(path)
	local attributes, problem = lfs.attributes(path);
	local version = attributes
		and ("%d %d %d %d"):format(attributes.ino, attributes.modification, attributes.change, attributes.size) or "";
	local entry = known[path];
	if not (entry and entry.version == version) then
		entry = { version = version };
		known[path] = entry;
		local file;
		if attributes then file, problem = io.open(path); end
		if file then
			local text = (file:read("*a") or ""):gsub("%s+$", "");
			file:close();
			entry.secret = text ~= "" and text or nil;
			entry.modified = attributes.modification;
		elseif path == secret_file or attributes then
			module:log("error", "No JWT secret could be read: %s", problem);
		end
	end
	return entry.secret, entry.modified;
end

local function from_base64url(text)
	return base64.decode(text:gsub("-", "+"):gsub("_", "/") .. ("="):rep(-#text % 4));
end

-- What was signed, and the signature, of a token that says it is HS256.
local function parts(token)
	local signed, header, signature = token:match("^(([%w_-]+)%.[%w_-]+)%.([%w_-]+)$");
	if not signed then return nil; end
	local decoded = json.decode(from_base64url(header) or "");
	if type(decoded) ~= "table" or decoded.alg ~= "HS256" then return nil; end
	return signed, from_base64url(signature);
end

module:hook_global("pre-jitsi-authentication-fetch-key", function (session)
	if session.host ~= module.host or type(session.auth_token) ~= "string" then return; end
	local signed, signature = parts(session.auth_token);
	if not signature then return; end

	-- The token module got its secret when it was loaded, so that may be the previous one, past its time.
	local secret = read(secret_file);
	local previous, written = read(previous_file);
	session.public_key = secret;
	if previous and os.time() < written + window
		and hashes.equals(hashes.hmac_sha256(previous, signed), signature) then
		session.public_key = previous;
	end
end);
