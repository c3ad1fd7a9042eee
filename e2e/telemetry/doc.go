// Package telemetry looks at running programs as operators do: by what they report.
package telemetry
