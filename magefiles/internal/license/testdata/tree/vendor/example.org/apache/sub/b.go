/*
 * Copyright (c) 2015-2023 Apache Holder. All rights reserved.
 */
package sub
