// Command marketing runs the marketing department as a service of its own.
package main

import (
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/marketing"
)

func main() { department.Main(marketing.Definition) }
