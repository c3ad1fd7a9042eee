// Command insidesales runs the service of inside sales by itself.
package main

import (
	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
)

func main() { department.Main(insidesales.Definition) }
