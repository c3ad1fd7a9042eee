// Command fieldsales runs the field sales department by itself.
package main

import (
	"github.com/tasuki-project/tasuki/services/fieldsales"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
)

func main() { department.Main(fieldsales.Definition) }
