// The customersuccess program serves the customer success department.
package main

import (
	"github.com/tasuki-project/tasuki/services/customersuccess"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
)

func main() { department.Main(customersuccess.Definition) }
