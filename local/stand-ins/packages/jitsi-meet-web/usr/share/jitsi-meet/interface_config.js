// Stand-in. An upgrade replaces this file, own changes included, as the real package does.
var interfaceConfig = {};
