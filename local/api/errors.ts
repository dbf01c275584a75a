/**
 * The Hetzner Cloud API's error codes that this cloud answers, each with its HTTP status. Clients decide on
 * the code; where the service documents no status, the nearest of the documented ones is used.
 */
const STATUS = {
  json_error: 400,
  unauthorized: 401,
  forbidden: 403,
  resource_limit_exceeded: 403,
  not_found: 404,
  firewall_resource_not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  uniqueness_error: 409,
  deprecated_api_endpoint: 410,
  placement_error: 412,
  resource_unavailable: 412,
  firewall_already_applied: 422,
  firewall_managed_by_label_selector: 422,
  incorrect_zone_mode: 422,
  invalid_input: 422,
  invalid_server_type: 422,
  ip_not_available: 422,
  must_be_unassigned: 422,
  networks_overlap: 422,
  no_subnet_available: 422,
  primary_ip_already_assigned: 422,
  primary_ip_assigned: 422,
  primary_ip_datacenter_mismatch: 422,
  primary_ip_version_mismatch: 422,
  private_net_only_server: 422,
  resource_in_use: 422,
  server_already_added: 422,
  server_already_attached: 422,
  server_has_ipv4: 422,
  server_has_ipv6: 422,
  server_not_stopped: 422,
  volume_already_attached: 422,
  locked: 423,
  protected: 423,
  rate_limit_exceeded: 429,
  server_error: 500,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** A refusal that a client reads: thrown by handlers, rendered by the API that the request came in by. */
export class ApiError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: unknown = null,
  ) {
    super(message);
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** The service's `invalid_input`, which names the field. */
export function invalidInput(field: string, message: string): ApiError {
  return new ApiError('invalid_input', `invalid input in field '${field}': ${message}`, {
    fields: [{ name: field, messages: [message] }],
  });
}

/** The service's `not_found`, e.g. `server with ID '4711' not found`. */
export function notFound(what: string, id: string | number): ApiError {
  return new ApiError('not_found', `${what} with ID '${id}' not found`);
}
