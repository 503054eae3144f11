# GitHub's workflows, only if asked for: they push the images, and take the roles of the jobs that are named. (Airflow's hosts are in airflow_*.tf; a cluster
# of your own needs no resource but the trust and the associations in iam.tf.)

resource "aws_iam_openid_connect_provider" "github" {
  # An account has at most one for this address.
  count = try(var.github.provider_arn, "") == null ? 1 : 0

  url            = "https://${local._github_host}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "image" {
  count = var.github == null ? 0 : 1

  name                 = "${var.name}-image"
  permissions_boundary = var.permissions_boundary_arn
  description          = "GitHub workflow that pushes the images of the jobs and of Airflow"
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local._github_trust })
}

resource "aws_iam_role_policy" "image" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken knows no resource
  count = var.github == null ? 0 : 1

  name = "image"
  role = aws_iam_role.image[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      {
        Sid    = "Push"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = values(local.repository_arns)
      },
    ]
  })
}
