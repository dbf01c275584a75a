-- Stand-in for tests: verifies HS256 and RS256 tokens, with the libraries that Jitsi's package depends on.

local base64 = require "util.encodings".base64;
local basexx = require "basexx";
local json = require "cjson.safe";
local digest = require "openssl.digest";
local hmac = require "openssl.hmac";
local pkey = require "openssl.pkey";

-- algorithm -> whether the signature of the data is the key's
local verifiers = {
	HS256 = function (data, signature, key)
		return hmac.new(key, "sha256"):final(data) == signature;
	end;
	RS256 = function (data, signature, key)
		local ok, verified = pcall(function ()
			local hash = digest.new("sha256");
			hash:update(data);
			return pkey.new(key):verify(signature, hash);
		end);
		return ok and verified;
	end;
};

local function decode_part(text)
	-- basexx takes most of a millisecond for a token's claims; Jitsi's decodes them in microseconds.
	local raw = base64.decode(text:gsub("-", "+"):gsub("_", "/") .. ("="):rep(-#text % 4));
	local value = raw and json.decode(raw);
	return type(value) == "table" and value or nil;
end

local function contains(list, value)
	for _, each in ipairs(list) do
		if each == "*" or each == value then return true; end
	end
	return false;
end

-- Header, claims, signed data and signature of a token; else nil and what is wrong with it.
local function decode(token)
	local data, header, claims, signature = token:match("^(([^.]*)%.([^.]*))%.([^.]*)$");
	if not data then return nil, "Invalid token"; end
	header, claims, signature = decode_part(header), decode_part(claims), basexx.from_url64(signature);
	if not (header and claims and signature) then return nil, "Invalid json"; end
	return { header = header; claims = claims; data = data; signature = signature };
end

-- Claims of a decoded token that this key signed with this algorithm and that may be used now; else nil and why not.
local function verify(parts, algorithm, key, issuers, audiences)
	local claims = parts.claims;
	if parts.header.typ ~= "JWT" then return nil, "Invalid typ"; end
	if parts.header.alg ~= algorithm or not verifiers[algorithm] then return nil, "Invalid or incorrect alg"; end
	if claims.exp ~= nil and type(claims.exp) ~= "number" then return nil, "exp must be number"; end
	if claims.nbf ~= nil and type(claims.nbf) ~= "number" then return nil, "nbf must be number"; end
	if not verifiers[algorithm](parts.data, parts.signature, key) then return nil, "Invalid signature"; end
	if claims.exp and os.time() >= claims.exp then return nil, "Not acceptable by exp"; end
	if claims.nbf and os.time() < claims.nbf then return nil, "Not acceptable by nbf"; end
	if type(claims.iss) ~= "string" or not contains(issuers, claims.iss) then
		return nil, "Invalid issuer ('iss' claim)";
	end
	if #audiences > 0 and not contains(audiences, "*") and not (type(claims.aud) == "string"
		and contains(audiences, claims.aud)) then
		return nil, "Invalid audience ('aud' claim)";
	end
	return claims;
end

return { decode = decode; verify = verify };
