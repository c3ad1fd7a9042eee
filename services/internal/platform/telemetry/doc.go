// Package telemetry makes the program observable: logs by slog, traces and metrics by OpenTelemetry.
//
// It promises that
//   - a log line carries the trace, the span and the request it belongs to;
//   - personal data stays out: a text attribute is shown only when its key is on the allow-list, and as "hidden"
//     otherwise; numbers, truth values, times and durations always pass. Messages are constant texts;
//   - OpenTelemetry is off unless one of the standard OTEL_ variables asks for it, and then costs nothing at start or
//     per call;
//   - work that is left for later continues the trace that left it, or links to it when it begins late;
//   - metrics have a name, a unit and a help text, and may be declared before Setup runs.
package telemetry
