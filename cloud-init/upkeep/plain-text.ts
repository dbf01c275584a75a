/**
 * Values that templates put into quoted strings of Lua, nginx, HOCON, JavaScript and shell. Templates do not
 * escape, so what could end a string is refused here.
 *
 * @throws Error that lists every value with its name and an example
 */
export function refuseQuoting(values: Record<string, string>, role: string): void {
  const problems = Object.entries(values)
    .filter(([, value]) => !/^[^\s"'`\\${}();<>|&\p{Cc}]*$/u.test(value))
    .map(
      ([name, value]) =>
        `${name}: ${JSON.stringify(value)} holds a blank, a quote or another character that configuration files give a meaning; e.g. https://app.example.org`,
    );
  if (problems.length > 0) throw new Error(`values of the role ${role}:\n- ${problems.join('\n- ')}`);
}
