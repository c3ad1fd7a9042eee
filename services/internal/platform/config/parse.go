package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
	yaml "go.yaml.in/yaml/v3"
)

// EnvPrefix starts the name of every environment variable.
const EnvPrefix = "TASUKI"

// File names a YAML file of settings.
type File string

// BeforeResolve reads the file, so that kong finds the settings in it.
func (f File) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	return load(ctx, string(ctx.FlagValue(trace.Flag).(File)))
}

func load(ctx *kong.Context, path string) error {
	r, err := readFile(path)
	if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	if err := r.Validate(ctx.Model); err != nil {
		return err
	}
	ctx.AddResolver(r)
	return nil
}

// Parse reads settings into cli, a pointer to a kong grammar, from the arguments without the program's name, from the
// environment and from the file. Vars fill ${…} in the grammar; `listen` is one that Service needs. The error names
// every setting that is wrong.
func Parse(cli any, args []string, vars kong.Vars, opts ...kong.Option) (*kong.Context, error) {
	opts = append(opts, kong.DefaultEnvars(EnvPrefix), vars, kong.UsageOnError(),
		kong.WithBeforeResolve(func(ctx *kong.Context) error {
			if path := os.Getenv(EnvPrefix + "_CONFIG"); path != "" && !given(ctx, "config") {
				return load(ctx, path)
			}
			return nil
		}))
	k, err := kong.New(cli, opts...)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	ctx, err := k.Parse(args)
	if err != nil {
		return nil, err
	}
	if err := check(ctx); err != nil {
		return nil, err
	}
	return ctx, nil
}

func given(ctx *kong.Context, flag string) bool {
	return slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == flag })
}

// checked is implemented by settings that can be wrong in more ways than kong knows. It is not called Validate, because
// kong would call that, and stop at the first mistake.
type checked interface{ Check() error }

// check asks the program's settings and those of the chosen command, and gathers the answers.
func check(ctx *kong.Context) error {
	var errs []error
	for _, p := range ctx.Path {
		if node := p.Node(); node != nil && p.Flag == nil && p.Positional == nil {
			errs = append(errs, checkValue("", node.Target)...)
		}
	}
	// An embedded struct lends its method to the one around it.
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })
	return errors.Join(errs...)
}

func checkValue(name string, v reflect.Value) []error {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	var errs []error
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if _, isCommand := f.Tag.Lookup("cmd"); isCommand || !f.IsExported() {
				continue
			}
			errs = append(errs, checkValue(f.Name, v.Field(i))...)
		}
	}
	if c, ok := v.Interface().(checked); ok {
		if err := c.Check(); err != nil {
			if v.Kind() != reflect.Struct {
				err = fmt.Errorf("--%s: %w", strings.ToLower(name), err)
			}
			errs = append(errs, err)
		}
	}
	return errs
}

// Setting is one setting as it is in force, for people to see.
type Setting struct{ Flag, Env, Value string }

// Settings lists the settings of the chosen command with their values; secrets are masked.
func Settings(ctx *kong.Context) []Setting {
	var out []Setting
	for _, f := range ctx.Flags() {
		if f.Name == "help" {
			continue
		}
		out = append(out, Setting{Flag: f.Name, Env: strings.Join(f.Envs, ","), Value: fmt.Sprint(ctx.FlagValue(f))})
	}
	return out
}

// Print writes Settings as a table.
func Print(w io.Writer, ctx *kong.Context) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range Settings(ctx) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Flag, s.Env, s.Value)
	}
	return t.Flush()
}

// file resolves flags from a YAML document.
type file struct {
	path   string
	doc    map[string]any
	values map[string]any
}

func readFile(path string) (*file, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("is no YAML: %w", err)
	}
	return &file{path: path, doc: doc, values: map[string]any{}}, nil
}

// flatten names settings by their flags. A map that is itself a setting stays whole.
func (f *file) flatten(prefix string, doc map[string]any, known map[string]bool) {
	for k, v := range doc {
		name := prefix + strings.ReplaceAll(k, "_", "-")
		if inner, ok := v.(map[string]any); ok && !known[name] {
			f.flatten(name+"-", inner, known)
			continue
		}
		f.values[name] = v
	}
}

// Validate implements kong.Resolver: a setting that no command knows is a mistake.
func (f *file) Validate(app *kong.Application) error {
	known := map[string]bool{}
	err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			known[flag.Name] = true
		}
		return next(nil)
	})
	if err != nil {
		return err
	}
	f.flatten("", f.doc, known)
	var errs []error
	for name := range f.values {
		if !known[name] {
			errs = append(errs, fmt.Errorf("%s: unknown setting %q", f.path, name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Resolve implements kong.Resolver.
func (f *file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	v, ok := f.values[flag.Name]
	if !ok {
		return nil, nil
	}
	switch v.(type) {
	case []any, map[string]any: // kong reads these itself
		return v, nil
	}
	return fmt.Sprint(v), nil
}
