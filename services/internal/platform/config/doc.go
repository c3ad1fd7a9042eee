// Package config reads the settings of a program, under the same names everywhere: the flag `--auth-issuer` is the
// variable TASUKI_AUTH_ISSUER and, in a YAML file, `auth-issuer:` or `issuer:` below `auth:`. Flags win over variables,
// variables over the file, the file over defaults.
//
// It promises that all settings are checked before anything starts, that every mistake is reported at once with the name
// of its setting, that the file has no setting that nobody knows, and that secrets are masked wherever settings are
// shown.
//
// A program embeds the structs of this package into its own kong grammar and calls Parse.
package config
